import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { evaluate } from "#src/operations/alerts/alerts.ts";
import { connectSeller, mintBearer, newVisitor } from "#test/support/browser-like.ts";
import { startServe } from "#test/support/process.ts";
import { openWorld } from "#test/support/world.ts";
import { root } from "./program.ts";
import { runBeside } from "./run.ts";

type Transcript = { readonly command: string; readonly output: readonly string[] };

/** What the runbook shows of commands and their answers, in its order. */
function transcripts(): readonly Transcript[] {
  const runbook = readFileSync(join(root, "docs/runbook.md"), "utf8");
  const blocks = [...runbook.matchAll(/^( *)```text\n([\s\S]*?)^ *```$/gm)];
  return blocks.flatMap(([, indent = "", text = ""]) => {
    const lines = text.split("\n").map((line) => line.slice(indent.length));
    const starts = lines.flatMap((line, at) => (line.startsWith("$ smartdash ") ? [at] : []));
    return starts.map((start) => {
      const rest = lines.slice(start + 1);
      const end = rest.findIndex((line) => line === "" || line.startsWith("$ "));
      const command = (lines[start] ?? "").slice("$ smartdash ".length).replace(/ +#.*$/, "");
      return { command, output: end === -1 ? rest : rest.slice(0, end) };
    });
  });
}

/** Numbers, times and what is left out (`…`) may be others; every word has to be there. */
const shape = (line: string) =>
  new RegExp(
    `^${line
      .replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
      .replaceAll("…", ".*")
      .replace(/\d+/g, String.raw`\d+`)
      .replace(/ {2,}/g, " +")}$`,
  );

const wordsOf = (command: string) =>
  [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");

test("what the runbook shows of commands is what they say", async () => {
  await using world = await openWorld();
  const { db } = world.app;
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  await mintBearer(visitor, world.url);
  await mintBearer(visitor, world.url);
  await using second = await startServe({ ...world.environment, LOG_LEVEL: "error" });
  expect(second.pid).toBeGreaterThan(0);
  await db.execute(sql`
    insert into calls (id, at, request_id, upstream, http_method, status, duration_ms)
    select gen_random_uuid(), now(), 'x', 'mercadolibre', 'POST', 504, 1 from generate_series(1, 5)`);
  await db.execute(sql`
    update accounts set state = 'reconnect_required', last_error = 'invalid_grant', generation = 41,
      access_expires_at = now() - interval '1 hour'`);
  await evaluate(world.app);
  const all = transcripts();
  expect(all.length).toBeGreaterThan(5);
  for (const { command, output } of all) {
    const words = wordsOf(command);
    const address = words[0] === "health" ? ["--url", world.url] : [];
    const ran = await runBeside(world, [...words, ...address]);
    const said = (ran.stdout + ran.stderr).trim().split("\n");
    for (const line of output) {
      if (said.some((each) => shape(line).test(each.trimEnd()))) continue;
      throw new Error(`smartdash ${command} does not say\n  ${line}\nbut\n  ${said.join("\n  ")}`);
    }
  }
}, 120_000);
