import { startBundled } from "#db/embedded.ts";
import { DatabaseProblem } from "#db/problem.ts";
import { installPostgres } from "#test/support/database.ts";
import { heardLines } from "./script.ts";

/** Starts the bundled database of a folder like a gateway, says how that went, and stops when told. */
try {
  const bundled = await startBundled(process.argv[2] ?? "", installPostgres);
  console.log(JSON.stringify({ adopted: bundled.adopted }));
  await heardLines().next();
  await bundled.stop();
  console.log("stopped");
} catch (error) {
  if (!(error instanceof DatabaseProblem)) throw error;
  console.log(JSON.stringify({ code: error.code, hint: error.hint }));
}
process.exit();
