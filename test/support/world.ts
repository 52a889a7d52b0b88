import { hash } from "node:crypto";
import { rm } from "node:fs/promises";
import { ownProgram } from "#cli/own-program.ts";
import { type App, openApp } from "#src/app.ts";
import type { Environment } from "#src/config/read.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { type Sandbox, type SandboxOptions, startSandbox } from "#src/sandbox/sandbox.ts";
import { type Gateway, startGateway } from "#src/gateway/gateway.ts";
import { type TestDatabase, temporaryFolder, testDatabase } from "./database.ts";

/** Looks random, and is always the same. */
export const encryptionKey = hash("sha256", "smartdash tests", "base64");

/** Tests call as often as they need, with the same words; those of the guards say which one they mean. */
export const withoutGuards = {
  SMARTDASH_LIMITS: "off",
  SMARTDASH_BUDGETS: "off",
  SMARTDASH_LOOPS: "off",
  SMARTDASH_CALLS_AT_ONCE: "100000",
  SMARTDASH_STREAMS_AT_ONCE: "100000",
  SMARTDASH_BODY_MIB_AT_ONCE: "1000",
  SMARTDASH_BODY_MIB_IN_ALL: "1000",
};

export type World = AsyncDisposable & {
  readonly database: TestDatabase;
  readonly sandbox: Sandbox;
  readonly app: App;
  readonly gateway: Gateway;
  readonly url: string;
  /** The settings of this world's gateway, for starting another one beside it. */
  readonly environment: Environment;
};

export type WorldOptions = Partial<SandboxOptions> & {
  readonly environment?: Environment;
  /** The compiled program, which the console executes for a check. */
  readonly program?: string;
};

/** A database, a sandbox and a gateway that nobody else uses. */
export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const { accessSeconds = 3600, environment: extra = {}, ...rest } = options;
  const database = await testDatabase();
  const sandbox = startSandbox(bunRuntime, { accessSeconds, now: Date.now, ...rest });
  const home = await temporaryFolder();
  const environment = {
    ...sandbox.environment,
    SMARTDASH_HOME: home,
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: encryptionKey,
    PORT: "0",
    LOG_LEVEL: "error",
    SMARTDASH_SIGNUP: "open",
    SMARTDASH_CLIENT_DOCUMENTS: "bundled",
    DRAIN_MS: "200",
    // Whoever looks for other nodes says on which interface.
    SMARTDASH_EDGE_DISCOVERY: "none",
    ...withoutGuards,
    ...extra,
  };
  const { app, close } = await openApp({ environment, runtime: bunRuntime, role: "gateway" });
  const own = ownProgram(
    { ownCommand: options.program === undefined ? undefined : [options.program] },
    environment,
  );
  const gateway = await startGateway(app, bunRuntime, { ownProgram: own.execute });
  return {
    database,
    sandbox,
    app,
    gateway,
    environment,
    url: gateway.publicUrl,
    async [Symbol.asyncDispose]() {
      await own.stop();
      await gateway.stop();
      await close();
      await sandbox.stop();
      await database[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    },
  };
}
