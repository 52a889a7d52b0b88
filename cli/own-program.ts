import { spawn } from "node:child_process";
import type { Environment } from "#src/config/read.ts";
import type { OwnProgram } from "#src/operations/check-run.ts";
import type { Runtime } from "#src/runtime/runtime.ts";

/** What takes longer is ended. */
const longestMs = 150_000;

/**
 * This program once more, beside itself. What it prints is of no use here: commands store what has to last.
 * `stop` ends what still runs.
 */
export function ownProgram(
  { ownCommand }: Pick<Runtime, "ownCommand">,
  environment: Environment,
): { readonly execute: OwnProgram | undefined; readonly stop: () => void } {
  const stopped = new AbortController();
  const [program, ...first] = ownCommand ?? [];
  if (program === undefined) return { execute: undefined, stop: () => undefined };
  const execute: OwnProgram = (words) => {
    const ended = Promise.withResolvers<number | undefined>();
    const child = spawn(program, [...first, ...words], {
      env: environment,
      stdio: "ignore",
      timeout: longestMs,
      killSignal: "SIGKILL",
      signal: stopped.signal,
    });
    child.on("error", () => ended.resolve(undefined));
    child.on("exit", (code) => ended.resolve(code ?? undefined));
    return ended.promise;
  };
  return { execute, stop: () => stopped.abort() };
}
