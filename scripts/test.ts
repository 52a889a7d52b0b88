import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { serverVariable, startTestServer } from "../test/support/database.ts";

/**
 * Runs tests: as many files at a time as there are cores, those that take longest first, on one PostgreSQL for all.
 * `bun scripts/test.ts [--long] [--workers N] [--timings] [FILE OR FOLDER …]`; `--timings` notes how long each took.
 */
const root = join(import.meta.dir, "..");
/** Milliseconds of each file; an old or missing entry costs nothing but time. */
const timingsFile = "test/timings.json";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    long: { type: "boolean" },
    timings: { type: "boolean" },
    workers: { type: "string" },
    pattern: { type: "string", short: "t" },
  },
});

await using server = await startTestServer();
const child = Bun.spawn(
  [
    process.execPath,
    "test",
    `--parallel=${values.workers ?? availableParallelism()}`,
    "--parallel-delay=0",
    `--timings=${timingsFile}`,
    ...(values.timings === true ? ["--update-timings"] : []),
    ...(values.pattern === undefined ? [] : ["--test-name-pattern", values.pattern]),
    ...positionals,
  ],
  {
    cwd: root,
    env: {
      ...process.env,
      [serverVariable]: server.url,
      ...(values.long === true ? { SMARTDASH_TEST_LONG: "1" } : {}),
    },
    stdio: ["ignore", "inherit", "inherit"],
  },
);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
process.exitCode = await child.exited;
