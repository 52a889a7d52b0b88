import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { unpackChrome } from "../test/browser/chrome.ts";
import { runFolder, serverVariable, startTestServer } from "../test/support/database.ts";

/**
 * Runs tests: several files at a time, those that take longest first, on one PostgreSQL for all.
 * `bun scripts/test.ts [--long] [--watch] [--workers N] [--timings] [-t PATTERN] [FILE OR FOLDER …]`; `--timings` notes
 * how long each took, `--watch` runs them again when a file changes.
 */
const root = join(import.meta.dir, "..");
/** Milliseconds of each file; an old or missing entry costs nothing but time. */
const timingsFile = "test/timings.json";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    long: { type: "boolean" },
    watch: { type: "boolean" },
    timings: { type: "boolean" },
    workers: { type: "string" },
    pattern: { type: "string", short: "t" },
  },
});

/** One more than there are cores: a test waits more than it works. */
const workers = values.workers ?? availableParallelism() + 1;

await using folder = await runFolder();
process.env["TMPDIR"] = folder.path;
const usesBrowser = positionals.length === 0 || positionals.some((each) => /browser/.test(each));
await using server = await startTestServer();
if (usesBrowser) await unpackChrome();
const child = Bun.spawn(
  [
    process.execPath,
    "test",
    ...(values.watch === true
      ? ["--watch"]
      : [`--parallel=${workers}`, "--parallel-delay=0", `--timings=${timingsFile}`]),
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
