import { join } from "node:path";

export type Stop = () => Promise<void>;

const owned = new Set<Stop>();

/** Remembers how to end something, so that every way out of the bench ends it; the result ends it once. */
export function own(stop: Stop): Stop {
  let stopping: Promise<void> | undefined;
  const once: Stop = () => {
    stopping ??= stop().finally(() => owned.delete(once));
    return stopping;
  };
  owned.add(once);
  return once;
}

/** Ends what is still running, newest first, and what is begun meanwhile. */
async function stopEverything(): Promise<void> {
  for (let stop = newest(); stop !== undefined; stop = newest()) {
    await stop().catch((error: unknown) => console.error("could not stop:", error));
  }
}

function newest(): Stop | undefined {
  return [...owned].at(-1);
}

/** Does the work of a script and ends the process, with everything that is owned, also when it is interrupted. */
export async function runOwned(name: string, work: () => Promise<void>): Promise<never> {
  let interrupted: Promise<never> | undefined;
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.on(signal, () => {
      // What an interruption breaks is no news.
      process.on("unhandledRejection", () => undefined);
      interrupted ??= stopEverything().then(() => process.exit(code));
    });
  }
  try {
    await work();
  } catch (error) {
    if (interrupted !== undefined) return await interrupted;
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
  await stopEverything();
  return await (interrupted ?? process.exit());
}

/** Asks one process to end, and after two seconds makes it. */
export async function endProcess(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  const impatience = setTimeout(() => child.kill("SIGKILL"), 2000);
  await child.exited;
  clearTimeout(impatience);
}

export type Script = { readonly url: string; readonly child: Bun.Subprocess; readonly stop: Stop };

/** Starts a file of this folder as its own process, by Bun or by `program`, and waits for its address. */
export async function startScript(
  file: string,
  args: readonly string[],
  options: { readonly onMessage?: (message: unknown) => void; readonly program?: string } = {},
): Promise<Script> {
  const ready = Promise.withResolvers<string>();
  const child = Bun.spawn(
    [options.program ?? process.execPath, join(import.meta.dir, file), ...args],
    {
      // fetch stops at 256 requests at once by default, and streams count as requests.
      env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "20000", NODE_ENV: "production" },
      stdio: ["ignore", "inherit", "inherit"],
      // The form of messages that Node understands too.
      serialization: "json",
      ipc(message: unknown) {
        if (isReady(message)) ready.resolve(message.url);
        else options.onMessage?.(message);
      },
      onExit: () => ready.reject(new Error(`${file} ended before it was ready`)),
    },
  );
  const stop = own(() => endProcess(child));
  return { url: await ready.promise, child, stop };
}

function isReady(message: unknown): message is { url: string } {
  return typeof message === "object" && message !== null && "url" in message;
}
