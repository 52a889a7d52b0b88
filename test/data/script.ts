import { fileURLToPath } from "node:url";

/** A script in a process of its own, read line by line. */
export type Script = AsyncDisposable & {
  readonly pid: number;
  /** The next line of its standard output; undefined once it has ended. */
  nextLine(): Promise<string | undefined>;
  /** Every line that is still to come, until the end. */
  remainingLines(): Promise<readonly string[]>;
  say(line: string): Promise<void>;
  readonly kill: () => Promise<void>;
};

/** @param script From `import.meta.resolve`. */
export function startScript(
  script: string,
  options: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Script {
  const child = Bun.spawn([process.execPath, fileURLToPath(script), ...options], {
    env: { ...process.env, ...environment },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = linesOf(child.stdout);
  const kill = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return {
    pid: child.pid,
    nextLine: async () => (await lines.next()).value,
    remainingLines: () => Array.fromAsync(lines),
    say: async (line) => {
      await child.stdin.write(`${line}\n`);
      await child.stdin.flush();
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

/** What a process that `startScript` started is told. */
export function heardLines(): AsyncGenerator<string, undefined> {
  return linesOf(Bun.stdin.stream());
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  return undefined;
}
