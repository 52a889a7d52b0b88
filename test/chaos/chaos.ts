import { rm } from "node:fs/promises";
import postgres from "postgres";
import { openApp } from "#src/app.ts";
import type { Environment } from "#src/config/read.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import type { SimulatedProvider } from "#src/sandbox/provider.ts";
import { type Sandbox, startSandbox } from "#src/sandbox/sandbox.ts";
import { startGateway } from "#src/gateway/gateway.ts";
import { type Script, startScript } from "#test/data/script.ts";
import { type Visitor, connectSeller, mintBearer, newVisitor } from "#test/support/browser-like.ts";
import { type TestDatabase, temporaryFolder, testDatabase } from "#test/support/database.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { roomFor } from "#test/support/room.ts";
import { encryptionKey, withoutGuards } from "#test/support/world.ts";

/** A provider that ends a grant when a used refresh token comes again, and a database; no gateway runs yet. */
export type ChaosWorld = AsyncDisposable & {
  readonly sandbox: Sandbox;
  readonly provider: SimulatedProvider;
  readonly environment: Environment;
  readonly bearer: string;
  readonly database: TestDatabase;
  readonly sql: postgres.Sql;
  /** Starts a gateway in a process of its own. */
  start(extra?: Environment): Promise<Victim>;
  /** Connects the seller again, through this gateway. */
  connectAgain(url: string): Promise<void>;
};

export type Victim = AsyncDisposable & {
  readonly url: string;
  readonly pid: number;
  arm(word: "kill" | "database" | "both", step: string): Promise<void>;
  call(): Promise<{ readonly status: number; readonly text: string }>;
  stop(): Promise<void>;
  kill(): Promise<void>;
};

/** Two gateways and their pools each: many more would want more connections than the test server has. */
const room = roomFor(3);

export function chaosWorld(extra: Environment = {}): Promise<ChaosWorld> {
  return room.hold(() => openChaosWorld(extra));
}

/**
 * The simulated provider lives in the process of the test: where that is kept waiting, an answer that comes after the
 * time limit is a lost one, and no fault of the gateway.
 */
export const patientMs = "8000";

async function openChaosWorld(extra: Environment): Promise<ChaosWorld> {
  const database = await testDatabase();
  const home = await temporaryFolder();
  const sandbox = startSandbox(bunRuntime, {
    accessSeconds: 3600,
    now: Date.now,
    endsOnReuse: true,
  });
  const provider = sandbox.providers.get("mercadolibre");
  if (provider === undefined) throw new Error("Mercado Libre is simulated");
  const environment = {
    ...sandbox.environment,
    DATABASE_URL: database.url,
    SMARTDASH_HOME: home,
    ENCRYPTION_KEY: encryptionKey,
    PORT: "0",
    LOG_LEVEL: "error",
    SMARTDASH_SIGNUP: "open",
    SMARTDASH_CLIENT_DOCUMENTS: "bundled",
    PROVIDER_TIMEOUT_MS: patientMs,
    DRAIN_MS: "200",
    ...withoutGuards,
    ...extra,
  };
  const { visitor, bearer } = await connected(environment);
  return {
    sandbox,
    provider,
    environment,
    bearer,
    database,
    sql: database.open.sql,
    start: (more = {}) => startVictim({ ...environment, ...more }, bearer),
    connectAgain: (url) => connectSeller(visitor, { url }),
    async [Symbol.asyncDispose]() {
      await sandbox.stop();
      await database[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** A person who has connected a seller and made a session, through a gateway that has stopped again. */
async function connected(environment: Environment): Promise<{ visitor: Visitor; bearer: string }> {
  const opened = await openApp({ environment, runtime: bunRuntime, role: "gateway" });
  const gateway = await startGateway(opened.app, bunRuntime);
  const visitor = newVisitor();
  await connectSeller(visitor, { url: gateway.publicUrl });
  const bearer = await mintBearer(visitor, gateway.publicUrl);
  await gateway.stop();
  await opened.close();
  return { visitor, bearer };
}

export async function startVictim(environment: Environment, bearer: string): Promise<Victim> {
  const script: Script = startScript(import.meta.resolve("./victim.ts"), [], environment);
  const url = await script.nextLine();
  if (url === undefined) throw new Error("the gateway ended before it served");
  return {
    url,
    pid: script.pid,
    async arm(word, step) {
      await script.say(`${word} ${step}`);
      const answer = await script.nextLine();
      if (answer !== `armed ${step}`) throw new Error(`not armed: ${answer}`);
    },
    call: () => whoami(url, bearer),
    async stop() {
      await script.say("stop");
      await script.remainingLines();
    },
    kill: script.kill,
    [Symbol.asyncDispose]: script.kill,
  };
}

/** A call; status 0 when the gateway broke off. */
export async function whoami(url: string, bearer: string) {
  try {
    const answer = await post(`${url}/mcp`, bearer, toolCall("whoami"));
    return { status: answer.status, text: await answer.text() };
  } catch {
    return { status: 0, text: "" };
  }
}

export function isAnswered({ status, text }: { status: number; text: string }): boolean {
  return status === 200 && text.includes("TIENDA_DEMO");
}

/** Calls until there is an answer, or a word that somebody has to connect the account again. */
export async function settledCall(url: string, bearer: string, limitMs = 30_000) {
  const deadline = Date.now() + limitMs;
  let last = await whoami(url, bearer);
  while (!isAnswered(last) && !last.text.includes("reconnect_needed") && Date.now() < deadline) {
    await Bun.sleep(100);
    last = await whoami(url, bearer);
  }
  return last;
}
