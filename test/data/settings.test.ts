import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { openApp } from "#src/app.ts";
import { databaseAddress } from "#src/config/database.ts";
import { loadConfig, refuse } from "#src/config/load.ts";
import type { Environment } from "#src/config/read.ts";
import { Failure, failures } from "#src/failure.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { temporaryHome } from "./home.ts";
import { rejection } from "./rejection.ts";

const key = Buffer.alloc(32, 7).toString("base64");
const databaseUrl = "postgres://smartdash:hunter2@db.internal/smartdash";

/** One wrong value for each kind of setting; the secret ones hold a word that must never be seen. */
const wrong: Environment = {
  SMARTDASH_MODE: "staging",
  PORT: "65536",
  PUBLIC_URL: "http://mcp.example.com",
  DATABASE_URL: "mysql://smartdash:hunter2@db.internal/smartdash",
  DATABASE_CONNECTIONS: "0",
  ENCRYPTION_KEY: `${key},hunter2`,
  SECRET_KEY: "hunter2",
  LOG_LEVEL: "chatty",
  MELI_PKCE: "perhaps",
  MELI_CLIENT_SECRET: "hunter2",
  AIRTABLE_REDIRECT_URI: "airtable/callback",
  SMARTDASH_PROVIDERS: '{"own": {"client_secret": "hunter2"',
  SMARTDASH_UPSTREAMS: "hunter2.json",
  PROVIDER_TIMEOUT_MS: "20s",
  CLIENT_ADDRESS_HEADER: "X Real IP",
  OTEL_EXPORTER_OTLP_HEADERS: "authorization: hunter2",
};

/** What each of them is told. MELI_CLIENT_SECRET is not among them: any text can be right. */
const remedies: Readonly<Record<string, RegExp>> = {
  SMARTDASH_MODE: /one of production, development/,
  PORT: /from 0 to 65535/,
  PUBLIC_URL: /must be https/,
  DATABASE_URL: /must begin with postgres: or postgresql:/,
  DATABASE_CONNECTIONS: /whole number from 1/,
  ENCRYPTION_KEY: /key 2 must be 32 bytes .*openssl rand/,
  SECRET_KEY: /must be 32 bytes .*openssl rand/,
  LOG_LEVEL: /one of debug, info, warn, error/,
  MELI_PKCE: /must be on or off/,
  AIRTABLE_REDIRECT_URI: /an http\(s\) URL/,
  SMARTDASH_PROVIDERS: /not a JSON object/,
  SMARTDASH_UPSTREAMS: /no such file/,
  PROVIDER_TIMEOUT_MS: /whole number/,
  CLIENT_ADDRESS_HEADER: /must be the name of a header/,
  OTEL_EXPORTER_OTLP_HEADERS: /must be headers, such as/,
};

describe("wrong settings", () => {
  test("are all reported at once, each with its name and its remedy, and end with exit code 2", () => {
    const failure = refusalOf(wrong);
    expect(failure.code).toBe("settings_invalid");
    expect(failures[failure.code]).toMatchObject({ exit: 2 });
    const lines = failure.message.split("\n").slice(1);
    for (const [name, remedy] of Object.entries(remedies)) {
      expect(lines.filter((line) => line.startsWith(`  ${name} `))).toEqual([
        expect.stringMatching(remedy),
      ]);
    }
    expect(lines).toHaveLength(Object.keys(remedies).length);
  });

  test("never show a secret value, nor what else they were told in secret", () => {
    const failure = refusalOf(wrong);
    expect(`${failure.message} ${Bun.inspect(failure)}`).not.toContain("hunter2");
    expect(Bun.inspect(loadConfig(wrong).config, { depth: 9 })).not.toContain("hunter2");
  });

  test("stop the gateway before anything is started or written", async () => {
    await using home = await temporaryHome();
    const environment = { ...wrong, DATABASE_URL: "", SMARTDASH_HOME: home.folder };
    const opening = openApp({ environment, runtime: bunRuntime, role: "gateway" });
    expect(await rejection(opening)).toMatchObject({ code: "settings_invalid" });
    expect(await readdir(home.folder)).toEqual([]);
  });

  test("that are empty count as not set", () => {
    const { config, problems } = loadConfig({ PORT: " ", DATABASE_URL: "", ENCRYPTION_KEY: "" });
    expect(problems).toEqual([]);
    expect(config).toMatchObject({ port: 8000, databaseUrl: undefined, encryptionKeys: [] });
  });
});

describe("PUBLIC_URL", () => {
  test.each([
    "https://mcp.example.com",
    "https://mcp.example.com/",
    "http://localhost:8000",
    "http://127.0.0.1:8000",
    "http://[::1]:8000",
  ])("may be %s", (url) => {
    const { config, problems } = loadConfig({ PUBLIC_URL: url });
    expect(problems).toEqual([]);
    expect(config.publicUrl).toBe(new URL(url).origin);
  });

  test.each([
    "http://mcp.example.com",
    "http://localhost.example.com",
    "https://mcp.example.com/gateway",
    "https://mcp.example.com/?a=b",
    "https://somebody@mcp.example.com",
    "mcp.example.com",
    "ftp://mcp.example.com",
  ])("may not be %s", (url) => {
    expect(namesOf(loadConfig({ PUBLIC_URL: url }))).toContain("PUBLIC_URL");
  });
});

test("the names that the mission's documents use are understood", () => {
  const { config, problems } = loadConfig({
    MELI_CLIENT_ID: "meli-id",
    MELI_CLIENT_SECRET: "meli-secret",
    MELI_REDIRECT_URI: "https://mcp.example.com/auth/meli",
    AIRTABLE_CLIENT_ID: "airtable-id",
    AIRTABLE_CLIENT_SECRET: "airtable-secret",
    AIRTABLE_REDIRECT_URI: "https://mcp.example.com/auth/airtable",
    ENCRYPTION_KEY: key,
    SECRET_KEY: Buffer.alloc(32, 8).toString("hex"),
    DATABASE_URL: databaseUrl,
    PORT: "8123",
  });
  expect(problems).toEqual([]);
  expect(config.port).toBe(8123);
  expect(config.databaseUrl?.reveal()).toBe(databaseUrl);
  expect(config.encryptionKeys).toEqual([new Uint8Array(32).fill(7)]);
  expect(config.secretKey).toEqual(new Uint8Array(32).fill(8));
  const { mercadolibre, airtable } = config.registrations;
  expect(mercadolibre?.clientId).toBe("meli-id");
  expect(mercadolibre?.clientSecret?.reveal()).toBe("meli-secret");
  expect(mercadolibre?.redirectUri).toBe("https://mcp.example.com/auth/meli");
  expect(airtable?.clientId).toBe("airtable-id");
  expect(airtable?.clientSecret?.reveal()).toBe("airtable-secret");
  expect(airtable?.redirectUri).toBe("https://mcp.example.com/auth/airtable");
});

describe("an external database without ENCRYPTION_KEY", () => {
  test("is refused in production, which is the mode unless another is named", () => {
    for (const mode of [{}, { SMARTDASH_MODE: "production" }]) {
      const failure = refusalOf({ ...mode, DATABASE_URL: databaseUrl });
      expect(failure.message).toMatch(/ENCRYPTION_KEY is required with DATABASE_URL.*openssl rand/);
      expect(failure.message).not.toContain("hunter2");
    }
  });

  test("is fine in development", () => {
    const { problems } = loadConfig({ SMARTDASH_MODE: "development", DATABASE_URL: databaseUrl });
    expect(problems).toEqual([]);
  });

  test("is required where no PostgreSQL can be bundled", async () => {
    const runtime = { ...bunRuntime, installPostgres: undefined };
    const opening = openApp({ environment: {}, runtime, role: "gateway" });
    expect(await rejection(opening)).toMatchObject({
      code: "settings_invalid",
      message: expect.stringContaining("DATABASE_URL is required"),
    });
  });
});

/** As `serve` and `check` read them, to where the database would be opened. */
async function problemsOf(settings: Environment): Promise<string> {
  await using home = await temporaryHome();
  const environment = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none", ENCRYPTION_KEY: key };
  const opening = openApp({
    environment: { ...environment, SMARTDASH_HOME: home.folder, ...settings },
    runtime: bunRuntime,
    role: "command",
    isTolerant: true,
  });
  const opened = await opening.catch((error: unknown) => error);
  if (!(opened instanceof Failure)) {
    await (await opening).close();
    return "none";
  }
  expect(opened.code).toBe("settings_invalid");
  return opened.message;
}

const acme = {
  authorize: "https://login.acme.example/a",
  token: "https://login.acme.example/t",
  identity: "https://login.acme.example/me",
};
const ofAcme = (fields: object) => ({
  SMARTDASH_PROVIDERS: JSON.stringify({ acme: { ...acme, ...fields } }),
});

describe("half a registration", () => {
  test.each([
    [{ MELI_CLIENT_ID: "1" }, "MELI_CLIENT_SECRET is required with MELI_CLIENT_ID"],
    [{ MELI_CLIENT_SECRET: "hunter2" }, "MELI_CLIENT_ID is required with MELI_CLIENT_SECRET"],
    [{ MERCADOPAGO_CLIENT_SECRET: "hunter2" }, "MERCADOPAGO_CLIENT_ID is required"],
    [{ MERCADOPAGO_CLIENT_ID: "1" }, "MERCADOPAGO_CLIENT_SECRET is required"],
    [{ SUPABASE_CLIENT_ID: "1" }, "SUPABASE_CLIENT_SECRET is required with SUPABASE_CLIENT_ID"],
    [{ SUPABASE_CLIENT_SECRET: "hunter2" }, "SUPABASE_CLIENT_ID is required"],
    [{ AIRTABLE_CLIENT_SECRET: "hunter2" }, "AIRTABLE_CLIENT_ID is required"],
    [
      { MELI_REDIRECT_URI: "https://mcp.example.com/auth/meli" },
      "MELI_CLIENT_ID is required with MELI_REDIRECT_URI",
    ],
    [ofAcme({ client_secret: "hunter2" }), "acme.client_id is required with acme.client_secret"],
    [ofAcme({ client_id: "", client_secret: "hunter2" }), "acme.client_id is required"],
    [ofAcme({ redirect_uri: "https://mcp.example.com/cb" }), "acme.client_id is required"],
    [ofAcme({ client_id: "1" }), '"client_authentication": "none"'],
    [ofAcme({ client_id: "1", client_authentication: "basic" }), "acme.client_secret is required"],
    [
      { SMARTDASH_PROVIDERS: JSON.stringify({ mercadolibre: { client_id: "1" } }) },
      "mercadolibre.client_id has no effect",
    ],
  ])("is refused: %p", async (settings, says) => {
    const message = await problemsOf(settings);
    expect(message).toContain(says);
    expect(message).not.toContain("hunter2");
  });

  test.each([
    {},
    { MELI_CLIENT_ID: "1", MELI_CLIENT_SECRET: "2" },
    { MELI_PKCE: "off", AIRTABLE_SCOPES: "schema.bases:read" },
    ofAcme({}),
    ofAcme({ client_id: "1", client_secret: "2" }),
  ])("is not what this is: %p", async (settings) => {
    expect(await problemsOf(settings)).toBe("none");
  });

  test("is none for a public client, where the provider's profile allows one", async () => {
    expect(await problemsOf({ AIRTABLE_CLIENT_ID: "1" })).toBe("none");
    for (const client_authentication of ["none", "basic_if_secret"]) {
      expect(await problemsOf(ofAcme({ client_id: "1", client_authentication }))).toBe("none");
    }
    const overridden = { mercadolibre: { client_authentication: "none" } };
    const settings = { MELI_CLIENT_ID: "1", SMARTDASH_PROVIDERS: JSON.stringify(overridden) };
    expect(await problemsOf(settings)).toBe("none");
  });
});

test("what is said of the database has its host and name, and nothing else", () => {
  const said = (url: string) => databaseAddress(loadConfig({ DATABASE_URL: url }).config);
  expect(databaseAddress(loadConfig({}).config)).toBe("bundled");
  expect(said("postgres://me:hunter2@db.internal:5433/shop?sslmode=require&password=hunter2")).toBe(
    "db.internal:5433/shop",
  );
  expect(said("postgres://me:hunter2@db.internal")).toBe("db.internal");
  expect(said("postgresql://me@localhost/shop?host=/run/postgresql")).toBe("/run/postgresql/shop");
});

function refusalOf(environment: Environment): Failure {
  try {
    refuse(loadConfig(environment).problems);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("these settings were not refused");
}

function namesOf({ problems }: ReturnType<typeof loadConfig>): readonly string[] {
  return problems.map((problem) => problem.setting);
}

test("a name that is likely to be another setting written wrongly is told where that may be why", async () => {
  await using home = await temporaryHome();
  const environment = { SMARTDASH_HOME: home.folder, DATABSE_URL: databaseUrl };
  const told = await rejection(
    openApp({ environment, runtime: bunRuntime, role: "command", write: () => true }),
  );
  expect(told).toMatchObject({ code: "home_unusable" });
  expect(JSON.stringify(told)).toContain("is DATABASE_URL meant?");
  expect(JSON.stringify(told)).not.toContain("hunter2");
  const wrongToo = { ...environment, PORT: "80a" };
  const all = await rejection(
    openApp({ environment: wrongToo, runtime: bunRuntime, role: "command", write: () => true }),
  );
  expect(String(all)).toContain("is DATABASE_URL meant?");
});
