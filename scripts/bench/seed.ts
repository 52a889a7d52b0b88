import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBundled } from "#db/embedded.ts";
import { migrate } from "#db/migrate.ts";
import { openDatabase } from "#db/open.ts";
import { saveConnection } from "#src/accounts/save-connection.ts";
import { mintSession } from "#src/agents/session.ts";
import { openApp } from "#src/app.ts";
import { Secret } from "#src/crypto/secret.ts";
import { bunRuntime } from "#src/runtime/bun.ts";

export type Seeded = {
  readonly environment: Readonly<Record<string, string>>;
  readonly bearer: string;
  stop(): Promise<void>;
};

/** A database with one connected account whose access token lives for an hour, and a session for it. */
export async function seed(upstreamUrl: string): Promise<Seeded> {
  if (bunRuntime.installPostgres === undefined) throw new Error("there is a PostgreSQL to install");
  const folder = await mkdtemp(join(tmpdir(), "sd-bench-"));
  const database = await startBundled(folder, bunRuntime.installPostgres);
  const open = openDatabase(database.url, 1);
  await migrate(open.sql);
  await open.close();
  const environment = {
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    MELI_CLIENT_ID: "bench",
    MELI_CLIENT_SECRET: "bench",
    PORT: "0",
    DRAIN_MS: "100",
    SMARTDASH_UPSTREAMS: JSON.stringify({ mercadolibre: { url: upstreamUrl } }),
  };
  const bearer = await connect(environment);
  return {
    environment,
    bearer,
    stop: async () => {
      await database.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function connect(environment: Readonly<Record<string, string>>): Promise<string> {
  const { app, close } = await openApp({ environment, runtime: bunRuntime, role: "command" });
  const provider = app.catalog.providers.get("mercadolibre");
  if (provider === undefined) throw new Error("Mercado Libre is built in");
  const saved = await saveConnection(app, {
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
  });
  const { bearer } = await mintSession(app, { ...saved, platform: null });
  await close();
  return bearer.reveal();
}
