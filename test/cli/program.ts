import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment } from "#src/config/read.ts";

export const root = join(import.meta.dir, "../..");
const compiled = join(root, "dist/smartdash");

/** The compiled binary. The gate builds it before the tests. */
export function binary(): string {
  if (existsSync(compiled)) return compiled;
  throw new Error("there is no dist/smartdash: run `bun scripts/build.ts` first");
}

export type Launch = { readonly cwd: string; readonly environment?: Environment };
export type Outcome = {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
};
export type Program = AsyncDisposable & {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Waits until what was printed matches; rejects, with all that was said, when the program ends before. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** Waits for its end. */
  ended(): Promise<Outcome>;
  /** Sends a signal and waits for the end. */
  end(signal: "SIGTERM" | "SIGINT"): Promise<Outcome>;
};

const patienceMs = 10_000;

/** Starts a program, in a process group of its own, that sees nothing of this process's environment but PATH. */
export function start(command: readonly string[], launch: Launch): Program {
  const child = Bun.spawn([...command], {
    cwd: launch.cwd,
    env: {
      PATH: process.env["PATH"],
      HOME: launch.cwd,
      SMARTDASH_HOME: launch.cwd,
      ...launch.environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const listeners = new Set<() => void>();
  const tell = () => listeners.forEach((listener) => listener());
  const stdout = gather(child.stdout, tell);
  const stderr = gather(child.stderr, tell);
  const ended = async (): Promise<Outcome> => {
    await Promise.all([child.exited, stdout.done, stderr.done]);
    return { exit: child.exitCode ?? -1, stdout: stdout.text(), stderr: stderr.text() };
  };
  const end = async (signal: "SIGTERM" | "SIGINT"): Promise<Outcome> => {
    const killed = killGroupLater(child.pid);
    child.kill(signal);
    const outcome = await ended();
    if (killed.isDone()) throw new Error(`still running ${patienceMs} ms after ${signal}`);
    killed.cancel();
    return outcome;
  };
  return {
    pid: child.pid,
    stdout: stdout.text,
    stderr: stderr.text,
    ended,
    end,
    says: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(stdout.text()) ?? pattern.exec(stderr.text());
          if (found !== null) resolve(found);
        };
        listeners.add(look);
        look();
        void ended().then(({ exit, stdout: out, stderr: errors }) =>
          reject(new Error(`ended with ${exit} before it said ${pattern}:\n${out}\n${errors}`)),
        );
      }),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await end("SIGTERM");
    },
  };
}

/** What does not end on being asked is ended with everything it started, so that no test leaves anything behind. */
function killGroupLater(pid: number) {
  let isDone = false;
  const timer = setTimeout(() => {
    isDone = true;
    process.kill(-pid, "SIGKILL");
  }, patienceMs);
  return { isDone: () => isDone, cancel: () => clearTimeout(timer) };
}

/** Runs the compiled binary to its end; one that goes on running is a failure. */
export async function run(args: readonly string[], launch: Launch): Promise<Outcome> {
  const program = start([binary(), ...args], launch);
  const killed = killGroupLater(program.pid);
  const outcome = await program.ended();
  killed.cancel();
  if (!killed.isDone()) return outcome;
  throw new Error(`smartdash ${args.join(" ")} goes on running; it said:\n${outcome.stdout}`);
}

export type Folder = AsyncDisposable & { readonly path: string };

/** A folder of one's own that everybody may pass through, as the bundled PostgreSQL's user has to. */
export async function newFolder(inside = tmpdir()): Promise<Folder> {
  const path = await mkdtemp(join(inside, "sd-"));
  await chmod(path, 0o711);
  return {
    path,
    async [Symbol.asyncDispose]() {
      for (const data of ["data", "home/data", "demo/data"]) {
        const pid = await databasePid(join(path, data));
        // Only a gateway that failed its test leaves one.
        if (pid !== undefined && isAlive(pid)) process.kill(pid, "SIGQUIT");
      }
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** The process of the bundled PostgreSQL that runs on a data folder, if one does. */
export async function databasePid(data: string): Promise<number | undefined> {
  const file = join(data, "postmaster.pid");
  if (!existsSync(file)) return undefined;
  return Number.parseInt(await readFile(file, "utf8"), 10);
}

/** Whether a process of this id runs; one that has ended and waits for its parent does not. */
export function isAlive(pid: number): boolean {
  try {
    const isThere = process.kill(pid, 0);
    const status = `/proc/${pid}/stat`;
    return isThere && !(existsSync(status) && / Z /.test(readFileSync(status, "utf8")));
  } catch {
    return false;
  }
}

function gather(stream: ReadableStream<Uint8Array>, tell: () => void) {
  const decoder = new TextDecoder();
  let text = "";
  const read = async () => {
    for await (const chunk of stream) {
      text += decoder.decode(chunk, { stream: true });
      tell();
    }
  };
  return { done: read(), text: () => text };
}
