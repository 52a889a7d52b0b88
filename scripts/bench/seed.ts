import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "#db/migrate.ts";
import { openDatabase } from "#db/open.ts";
import { noHighWaterMarks } from "#src/accounts/journal/high-water-marks.ts";
import { saveConnection } from "#src/accounts/save-connection.ts";
import { addRobot } from "#test/support/robot.ts";
import { mintSession } from "#src/oauth-server/sessions/session.ts";
import { type App, openApp } from "#src/app.ts";
import { Secret } from "#src/crypto/secret.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { FolderDatabase } from "./database.ts";
import { guardsOn, toolRules } from "./guards.ts";
import { own } from "./owned.ts";

export type Seeded = {
  readonly environment: Readonly<Record<string, string>>;
  /** Of one session for each account. */
  readonly bearers: readonly [string, ...string[]];
  readonly clientId: string;
  readonly clientSecret: string;
  /** It runs beside whatever uses it. */
  readonly database: FolderDatabase;
  stop(): Promise<void>;
};

export type AccountTokens = {
  readonly access: string;
  readonly refresh: string;
  readonly accessSeconds: number;
};

/** What a seeded gateway finds; each part has a usual value. */
export type Seeding = {
  readonly accounts?: number;
  /** What the provider gave for a seller. */
  readonly tokensOf?: (sellerId: string) => AccountTokens;
  /** Further or other settings. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
};

/** A database with connected accounts, a session for each and an agent that acts on the first. */
export async function seed(upstreamUrl: string, seeding: Seeding = {}): Promise<Seeded> {
  const folder = await mkdtemp(join(tmpdir(), "sd-bench-"));
  const database = new FolderDatabase(folder);
  const stop = own(async () => {
    await database.end();
    await rm(folder, { recursive: true, force: true });
  });
  try {
    const environment = {
      DATABASE_URL: await database.start(),
      ENCRYPTION_KEY: randomBytes(32).toString("base64"),
      MELI_CLIENT_ID: "bench",
      MELI_CLIENT_SECRET: "bench",
      PORT: "0",
      DRAIN_MS: "100",
      SMARTDASH_HOME: folder,
      SMARTDASH_SIGNUP: "open",
      SMARTDASH_UPSTREAMS: JSON.stringify({ mercadolibre: { url: upstreamUrl, tools: toolRules } }),
      ...guardsOn,
      ...given(seeding.environment),
    };
    return { environment, ...(await fill(environment, seeding)), database, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function given(environment: Seeding["environment"] = {}): Readonly<Record<string, string>> {
  const entries = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return Object.fromEntries(entries);
}

type Environment = Seeded["environment"];

async function fill(
  environment: Environment,
  seeding: Seeding,
): Promise<Pick<Seeded, "bearers" | "clientId" | "clientSecret">> {
  const open = openDatabase(environment["DATABASE_URL"] ?? "", 1);
  await migrate(open.sql);
  await open.close();
  const { app, close } = await openApp({
    environment: { ...environment, LOG_LEVEL: "warn" },
    runtime: bunRuntime,
    role: "command",
  });
  try {
    const { accounts = 1, tokensOf = usualTokens } = seeding;
    const first = await connect(app, "1", tokensOf);
    const bearers: [string, ...string[]] = [first.bearer];
    for (let number = 2; number <= accounts; number += 1) {
      bearers.push((await connect(app, String(number), tokensOf)).bearer);
    }
    return { bearers, ...(await addBenchAgent(app, first.accountId)) };
  } finally {
    await close();
  }
}

/** Of a provider that nobody asks: the access token outlives the bench. */
function usualTokens(sellerId: string): AccountTokens {
  return {
    access: `bench-access-token-${sellerId}`,
    refresh: `bench-refresh-token-${sellerId}`,
    accessSeconds: 3600,
  };
}

async function connect(
  app: App,
  sellerId: string,
  tokensOf: (sellerId: string) => AccountTokens,
): Promise<{ readonly accountId: string; readonly bearer: string }> {
  const provider = app.catalog.providers.get("mercadolibre");
  if (provider === undefined) throw new Error("Mercado Libre is built in");
  const { access, refresh, accessSeconds } = tokensOf(sellerId);
  const saved = await saveConnection(
    { ...app, journal: { marks: noHighWaterMarks } },
    {
      provider,
      kind: "oauth",
      personId: undefined,
      expectedSellerId: undefined,
      invite: undefined,
      identity: { sellerId, label: null, site: null },
      tokens: {
        access: new Secret(access),
        refresh: new Secret(refresh),
        accessSeconds,
        refreshSeconds: undefined,
        scope: undefined,
      },
      link: "/",
    },
  );
  const { bearer } = await mintSession(app, { ...saved, platform: null });
  return { accountId: saved.accountId, bearer: bearer.reveal() };
}

async function addBenchAgent(
  app: App,
  accountId: string,
): Promise<Pick<Seeded, "clientId" | "clientSecret">> {
  const { clientId, secret } = await addRobot(app, {
    name: "Bench",
    upstreams: ["mercadolibre"],
    account: accountId,
  });
  if (secret === undefined) throw new Error("the agent is confidential");
  return { clientId, clientSecret: secret.reveal() };
}
