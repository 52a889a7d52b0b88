import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export type Check = {
  readonly scenario: string;
  readonly id: string;
  readonly name: string;
  readonly status: string;
};

type SuiteRun = {
  readonly url: string;
  /** Flags of `conformance server`, such as `["--requirements", "2026-07-28"]`. */
  readonly args: readonly string[];
  /** Receives one folder per scenario with its `checks.json`. */
  readonly outDir: string;
  readonly timeoutSeconds: number;
};

/** Runs the pinned conformance suite against a server, in a process of its own. */
export async function runSuite({ url, args, outDir, timeoutSeconds }: SuiteRun) {
  const suite = Bun.spawn(
    [process.execPath, entry, "server", "--url", url, ...args, "-o", outDir],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: timeoutSeconds * 1000,
      killSignal: "SIGKILL",
    },
  );
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(suite.stdout).text(),
    new Response(suite.stderr).text(),
    suite.exited,
  ]);
  return { exitCode, output: stdout + stderr };
}

/** The suite needs Node 22 or Bun: it is started with the Bun that runs the tests. */
const entry = fileURLToPath(import.meta.resolve("@modelcontextprotocol/conformance/dist/index.js"));

/**
 * Reads every check below `outDir`. Several runs may share one folder: the timestamp in the names
 * of the scenario folders keeps them apart and is not part of a check.
 */
export async function readChecks(outDir: string): Promise<Check[]> {
  const checks: Check[] = [];
  for (const folder of (await readdir(outDir)).toSorted()) {
    const scenario = folder.replace(/^server-/, "").replace(/-\d{4}-\d{2}-\d{2}T[\dTZ-]+$/, "");
    const found: unknown = await Bun.file(join(outDir, folder, "checks.json")).json();
    if (!Array.isArray(found)) throw new Error(`The checks of ${folder} are not a list`);
    for (const check of found) checks.push({ scenario, ...readCheck(check) });
  }
  return checks;
}

function readCheck(check: Readonly<Record<string, unknown>>): Omit<Check, "scenario"> {
  return { id: String(check["id"]), name: String(check["name"]), status: String(check["status"]) };
}

/**
 * What an intermediary changed, one sentence each: the checks, counted by scenario, id, name and
 * status, that one run has more of than the other. Empty for a transparent intermediary.
 */
export function differences(direct: readonly Check[], through: readonly Check[]): string[] {
  const directly = count(direct);
  const across = count(through);
  const names = new Set([...directly.keys(), ...across.keys()]);
  return [...names]
    .toSorted()
    .filter((name) => directly.get(name) !== across.get(name))
    .map((name) => {
      const [one, other] = [directly.get(name) ?? 0, across.get(name) ?? 0];
      return `${name}: ${one} direct, ${other} through`;
    });
}

function count(checks: readonly Check[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { scenario, id, name, status } of checks) {
    const key = `${scenario}: ${id} (${name}) ${status}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
