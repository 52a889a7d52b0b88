import { type ChildProcess, spawn } from "node:child_process";
import type { Environment } from "#src/config/read.ts";
import type { Ended, OwnProgram } from "#src/operations/check-run.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { endsWithin } from "#src/clock.ts";

/** What takes longer is ended: first it may clean up. */
const [longestMs, graceMs] = [150_000, 5000];
/** Of what it says, the last of it. */
const mostSaid = 1000;

type Program = {
  /** Undefined where this program cannot execute itself. */
  readonly execute: OwnProgram | undefined;
  /** Ends what still runs. */
  stop(): Promise<void>;
};

/** This program once more, beside itself. Commands store what has to last: of what it prints only errors are kept. */
export function ownProgram(
  { ownCommand }: Pick<Runtime, "ownCommand">,
  environment: Environment,
): Program {
  const running = new Map<ChildProcess, Promise<Ended>>();
  const [program, ...first] = ownCommand ?? [];
  if (program === undefined) return { execute: undefined, stop: () => Promise.resolve() };
  const end = async (child: ChildProcess, ended: Promise<Ended>) => {
    child.kill("SIGTERM");
    if (!(await endsWithin(ended, graceMs))) child.kill("SIGKILL");
    await ended;
  };
  const execute: OwnProgram = async (words) => {
    const child = spawn(program, [...first, ...words], {
      env: environment,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = endOf(child);
    running.set(child, ended);
    try {
      if (!(await endsWithin(ended, longestMs))) await end(child, ended);
      return await ended;
    } finally {
      running.delete(child);
    }
  };
  return {
    execute,
    stop: async () => {
      await Promise.all([...running].map(([child, ended]) => end(child, ended)));
    },
  };
}

function endOf(child: ChildProcess): Promise<Ended> {
  const ended = Promise.withResolvers<Ended>();
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-mostSaid);
  });
  child.on("error", (error) => ended.resolve({ exit: undefined, said: error.message }));
  child.on("close", (code) => ended.resolve({ exit: code ?? undefined, said }));
  return ended.promise;
}
