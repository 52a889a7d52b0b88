import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openApp } from "#src/app.ts";
import { type RefreshStep, refreshSteps } from "#src/accounts/refresh/deps.ts";
import { codeOf } from "#src/failure.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { startGateway } from "#src/gateway/gateway.ts";
import { heardLines } from "#test/data/script.ts";

/**
 * A gateway that says where it serves and then waits for a word: `kill STEP` ends it with SIGKILL when a refresh
 * reaches that step, `database STEP` kills the bundled PostgreSQL there, `both STEP` the two of them; `stop` stops
 * it in order.
 */
type Armed = { readonly word: string; readonly step: RefreshStep };
let armed: Armed | undefined;

const opened = await openApp({
  environment: process.env,
  runtime: bunRuntime,
  role: "gateway",
  // What it says on stdout is its answer to a word.
  write: (text) => process.stderr.write(text),
});
const gateway = await startGateway(opened.app, bunRuntime, {
  atStep(step) {
    if (armed?.step !== step) return;
    const { word } = armed;
    armed = undefined;
    if (word !== "kill") killServer();
    if (word !== "database") process.kill(process.pid, "SIGKILL");
  },
});
console.log(gateway.publicUrl);

for await (const line of heardLines()) {
  const [word = "", wanted = ""] = line.split(" ");
  if (word === "stop") break;
  const step = refreshSteps.find((each) => each === wanted);
  armed = step === undefined ? undefined : { word, step };
  console.log(`armed ${step ?? "nothing"}`);
}
await gateway.stop();
await opened.close();
process.exit(0);

/** Its sessions outlive it by a moment: it may be dead already, and what has come so far was theirs. */
function killServer(): void {
  const file = join(opened.app.config.home, "data", "postmaster.pid");
  try {
    process.kill(Number(readFileSync(file, "utf8").split("\n")[0]), "SIGKILL");
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}
