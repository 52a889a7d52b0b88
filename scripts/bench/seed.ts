import { noMarks } from "#src/accounts/journal/marks.ts";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBundled } from "#db/embedded.ts";
import { migrate } from "#db/migrate.ts";
import { openDatabase } from "#db/open.ts";
import { saveConnection } from "#src/accounts/save-connection.ts";
import { addAgent } from "#src/agents/clients/operator.ts";
import { mintSession } from "#src/agents/sessions/session.ts";
import { openApp } from "#src/app.ts";
import { Secret } from "#src/crypto/secret.ts";
import { bunRuntime } from "#src/runtime/bun.ts";

export type Seeded = {
  readonly environment: Readonly<Record<string, string>>;
  /** A session's. */
  readonly bearer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  stop(): Promise<void>;
};

/** A database with one connected account whose access token lives for an hour, a session for it and an agent that acts on it. */
export async function seed(upstreamUrl: string): Promise<Seeded> {
  if (bunRuntime.installPostgres === undefined) throw new Error("there is a PostgreSQL to install");
  const folder = await mkdtemp(join(tmpdir(), "sd-bench-"));
  const database = await startBundled(folder, bunRuntime.installPostgres);
  const stop = async () => {
    await database.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return { ...(await fill({ databaseUrl: database.url, upstreamUrl, home: folder })), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Filling = {
  readonly databaseUrl: string;
  readonly upstreamUrl: string;
  readonly home: string;
};

async function fill({ databaseUrl, upstreamUrl, home }: Filling): Promise<Omit<Seeded, "stop">> {
  const open = openDatabase(databaseUrl, 1);
  await migrate(open.sql);
  await open.close();
  const environment = {
    DATABASE_URL: databaseUrl,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    MELI_CLIENT_ID: "bench",
    MELI_CLIENT_SECRET: "bench",
    PORT: "0",
    DRAIN_MS: "100",
    SMARTDASH_HOME: home,
    SMARTDASH_SIGNUP: "open",
    SMARTDASH_UPSTREAMS: JSON.stringify({ mercadolibre: { url: upstreamUrl } }),
  };
  return { environment, ...(await connect(environment)) };
}

async function connect(
  environment: Seeded["environment"],
): Promise<Pick<Seeded, "bearer" | "clientId" | "clientSecret">> {
  const { app, close } = await openApp({ environment, runtime: bunRuntime, role: "command" });
  const provider = app.catalog.providers.get("mercadolibre");
  if (provider === undefined) throw new Error("Mercado Libre is built in");
  const saved = await saveConnection(
    { ...app, journal: { marks: noMarks } },
    {
      provider,
      kind: "oauth",
      personId: undefined,
      expectedSellerId: undefined,
      invite: undefined,
      identity: { sellerId: "1", label: null, site: null },
      tokens: {
        access: new Secret("bench-access-token"),
        refresh: new Secret("bench-refresh-token"),
        accessSeconds: 3600,
        refreshSeconds: undefined,
        scope: undefined,
      },
      link: "/",
    },
  );
  const { bearer } = await mintSession(app, { ...saved, platform: null });
  const { clientId, secret } = await addAgent(app, {
    name: "Bench",
    redirectUris: [],
    isPublic: false,
    jwks: undefined,
    jwksUri: undefined,
    scope: "",
    agentType: undefined,
    agentVersion: undefined,
    upstreams: ["mercadolibre"],
    account: saved.accountId,
  });
  await close();
  if (secret === undefined) throw new Error("the agent is confidential");
  return { bearer: bearer.reveal(), clientId, clientSecret: secret.reveal() };
}
