import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Environment } from "#src/config/read.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import type { SimulatedProvider } from "#src/sandbox/provider.ts";
import { startSandbox } from "#src/sandbox/sandbox.ts";
import { type Outcome, root, start as runProgram } from "#test/cli/program.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { startServe } from "#test/support/process.ts";
import { encryptionKey, withoutGuards } from "#test/support/world.ts";

/** Gateway processes that share a database and a public name, each with a home of its own. */
export type Gateways = AsyncDisposable & {
  readonly provider: SimulatedProvider;
  /** Starts one at this port; whoever comes back to a port finds the home that was left there. */
  start(port: number): Promise<Replica>;
  /** How one ends that does not begin to serve. */
  refusal(): Promise<Outcome>;
};

export type Replica = AsyncDisposable & {
  /** Its own address; the public one may lead to another. */
  readonly url: string;
  /** Asks it to leave; resolves with its exit code. Rejects, and kills it, when it takes ten seconds. */
  leave(): Promise<number>;
};

type Sharing = { readonly databaseUrl: string; readonly publicUrl: string };

const patienceMs = 10_000;

export async function gatewaysOn(
  { databaseUrl, publicUrl }: Sharing,
  extra: Environment = {},
): Promise<Gateways> {
  const homes = await temporaryFolder();
  const sandbox = startSandbox(bunRuntime, { accessSeconds: 3600, now: Date.now });
  const provider = sandbox.providers.get("mercadolibre");
  if (provider === undefined) throw new Error("Mercado Libre is simulated");
  const environmentAt = async (port: number): Promise<Environment> => {
    const home = join(homes, String(port));
    await mkdir(home, { recursive: true });
    return {
      ...sandbox.environment,
      SMARTDASH_HOME: home,
      DATABASE_URL: databaseUrl,
      ENCRYPTION_KEY: encryptionKey,
      PUBLIC_URL: publicUrl,
      LOG_LEVEL: "error",
      SMARTDASH_SIGNUP: "open",
      SMARTDASH_CLIENT_DOCUMENTS: "bundled",
      DRAIN_MS: "200",
      ...withoutGuards,
      ...extra,
    };
  };
  return {
    provider,
    start: async (port) => await replica(port, await environmentAt(port)),
    async refusal() {
      const environment = { ...(await environmentAt(0)), PORT: "0" };
      const command = [process.execPath, join(root, "cli/main.ts"), "serve"];
      return await runProgram(command, { cwd: homes, environment }).ended();
    },
    async [Symbol.asyncDispose]() {
      await sandbox.stop();
      await rm(homes, { recursive: true, force: true });
    },
  };
}

async function replica(port: number, environment: Environment): Promise<Replica> {
  const { child } = await startServe(environment, { port });
  const leave = async () => {
    child.kill("SIGTERM");
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, patienceMs);
    const code = await Promise.race([child.exited, limit.promise]);
    clearTimeout(timer);
    if (code !== undefined) return code;
    child.kill("SIGKILL");
    await child.exited;
    throw new Error(`the gateway was still running ${patienceMs} ms after SIGTERM`);
  };
  return {
    url: `http://localhost:${port}`,
    leave,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await leave();
    },
  };
}
