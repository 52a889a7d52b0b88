import { join } from "node:path";
import type { Environment } from "#src/config/read.ts";

export type Served = AsyncDisposable & {
  readonly url: string;
  readonly pid: number;
  readonly child: Bun.Subprocess;
  /** What it has logged so far. */
  logs(): string;
};

const root = join(import.meta.dir, "../..");

/** A gateway in a process of its own, from source; ready when it has said where it serves. */
export async function startServe(
  environment: Environment,
  { port = 0 }: { port?: number } = {},
): Promise<Served> {
  const child = Bun.spawn([process.execPath, join(root, "cli/main.ts"), "serve"], {
    cwd: root,
    env: { ...process.env, ...environment, PORT: String(port) },
    stdout: "pipe",
    stderr: "inherit",
  });
  const output = { text: "" };
  const url = await announced(child.stdout, output);
  return {
    url,
    pid: child.pid,
    child,
    logs: () => output.text,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

/** Resolves with the line that says where it serves; reads on for as long as something is written. */
function announced(output: ReadableStream<Uint8Array>, said: { text: string }): Promise<string> {
  const decoder = new TextDecoder();
  const found = Promise.withResolvers<string>();
  const read = async () => {
    for await (const chunk of output) {
      said.text += decoder.decode(chunk, { stream: true });
      const url = serving.exec(said.text)?.[1];
      if (url !== undefined) found.resolve(url);
    }
    found.reject(new Error(`the gateway ended before it served: ${said.text}`));
  };
  void read();
  return found.promise;
}

/** How `serve` says that it serves, and where. */
export const serving = /"event":"serving","url":"([^"]+)"/;

/** A port that was free a moment ago, for a process that announces another address than it listens at. */
export async function freePort(): Promise<number> {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port } = server;
  await server.stop(true);
  return port ?? 0;
}

/** `serve` that ends by itself, because it refuses to start. */
export async function runServe(
  environment: Environment,
): Promise<{ readonly exit: number; readonly stderr: string }> {
  const child = Bun.spawn([process.execPath, join(root, "cli/main.ts"), "serve"], {
    cwd: root,
    env: { ...process.env, ...environment },
    stdout: "ignore",
    stderr: "pipe",
    timeout: 20_000,
  });
  const stderr = await new Response(child.stderr).text();
  return { exit: await child.exited, stderr };
}
