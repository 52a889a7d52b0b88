import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { subCommands } from "#cli/table-of-commands.ts";
import { connectSeller, mintBearer, newVisitor } from "#test/support/browser-like.ts";
import { emptyDatabase } from "#test/support/database.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { binary, start } from "./program.ts";
import { type Ran, runBeside } from "./run.ts";

setDefaultTimeout(60_000);

let world: World;
let bearer: string;
let folder: string;
beforeAll(async () => {
  world = await openWorld({ environment: { ALERT_SLACK_URL: "http://127.0.0.1:1/slack" } });
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  bearer = await mintBearer(visitor, world.url);
  folder = mkdtempSync(join(tmpdir(), "sd-"));
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const run = (words: readonly string[], extra = {}): Promise<Ran> => runBeside(world, words, extra);

/** The top of each command's JSON: these fields stay. */
const shapes: readonly (readonly [string, number, readonly string[]])[] = [
  ["health --url URL", 0, ["status", "version", "releaseId", "checks"]],
  ["migrate", 0, ["applied", "database"]],
  ["migrate --status", 0, ["database", "pending", "applied"]],
  ["migrate --dry-run", 0, ["database", "pending"]],
  [
    "check --quick --offline",
    0,
    [
      "status",
      "checkedAt",
      "build",
      "configHash",
      "publicUrl",
      "options",
      "counts",
      "findings",
      "signature",
    ],
  ],
  ["cleanup --dry-run", 0, ["dryRun", "wouldRemove"]],
  ["cleanup", 0, ["dryRun", "removed"]],
  ["accounts list", 0, ["accounts", "total", "page"]],
  ["accounts show mercadolibre:100200300", 0, ["account"]],
  ["agents list", 0, ["agents"]],
  ["agents add --name x", 0, ["client_id", "client_secret"]],
  ["providers list", 0, ["providers"]],
  [
    "providers test mercadolibre",
    0,
    ["provider", "outcome", "code", "status", "milliseconds", "redirectUri"],
  ],
  ["invite", 0, ["url", "expiresAt"]],
  ["keys rotate", 0, ["kid", "isLost"]],
  ["keys reseal", 0, ["resealed", "left"]],
  ["switch list", 0, ["off"]],
  ["alerts list", 0, ["alerts"]],
  ["alerts test", 1, ["sinks"]],
  ["client-config cursor", 0, ["client", "file", "text"]],
  ["licenses", 0, ["license", "notices"]],
  ["refresh mercadolibre:100200300", 0, ["account", "generation", "accessExpiresAt"]],
];

test.each(shapes)(
  "%s --json: exit code %d, one object, nothing else",
  async (line, exit, fields) => {
    const words = line.replace("URL", world.url).split(" ");
    const ran = await run([...words, "--json"]);
    expect({ exit: ran.exit, stderr: ran.stderr }).toEqual({ exit, stderr: "" });
    expect(Object.keys(ran.json)).toEqual([...fields]);
    expect(ran.stdout.trim().split("\n")).toHaveLength(1);
  },
);

test("a failure is one object too, with a code and where it is explained", async () => {
  const ran = await run(["accounts", "show", "nobody:1", "--json"]);
  expect(ran.exit).toBe(2);
  expect(ran.json).toMatchObject({ error: { code: "usage", doc: "docs/errors.md#usage" } });
  expect(ran.stderr).toContain("docs/errors.md#usage");
  const mistyped = await run(["accounts", "lst", "--json"]);
  expect({ exit: mistyped.exit, ...mistyped.json }).toMatchObject({
    exit: 2,
    error: { code: "usage" },
  });
});

test("colours are for terminals alone", async () => {
  for (const words of [
    "accounts list",
    "providers list",
    "check --quick --offline",
    "migrate --status",
  ]) {
    const { stdout } = await run(words.split(" "));
    // oxlint-disable-next-line no-control-regex -- escape sequences are control characters
    expect(stdout).not.toMatch(/\u001b/);
  }
});

test.each(Object.keys(subCommands).filter((name) => name !== "complete"))(
  "%s --help has an example of itself, or of its commands",
  async (name) => {
    const load: unknown = await subCommands[name as keyof typeof subCommands]();
    const inner = Object.keys((load as { subCommands?: object }).subCommands ?? {});
    const all = inner.length === 0 ? [[name]] : inner.map((each) => [name, each]);
    for (const words of all) {
      const { stdout, exit } = await run([...words, "--help"]);
      expect(exit).toBe(0);
      expect(stdout).toContain("EXAMPLES");
      expect(stdout).toContain(`smartdash ${words.join(" ")}`);
      expect(stdout).toContain("--json");
    }
  },
);

describe("migrate", () => {
  test("--status and --dry-run change nothing; the SQL that is printed is what migrates", async () => {
    await using database = await emptyDatabase();
    const settings = { DATABASE_URL: database.url };
    const status = await run(["migrate", "--status", "--json"], settings);
    expect({ exit: status.exit, applied: status.json["applied"] }).toEqual({ exit: 1, applied: 0 });
    const { stdout } = await run(["migrate", "--dry-run"], settings);
    expect((await run(["migrate", "--status"], settings)).exit).toBe(1);
    expect(stdout).toContain('CREATE TABLE "accounts"');
    await database.open.sql.unsafe(stdout);
    const tables = await database.open
      .sql`select count(*)::int as count from pg_tables where schemaname = 'public'`;
    expect(Number(tables[0]?.["count"])).toBeGreaterThan(20);
  });

  test("--status and --dry-run make no database", async () => {
    const settings = { DATABASE_URL: "", SMARTDASH_HOME: join(folder, "nowhere") };
    for (const option of ["--status", "--dry-run"]) {
      const { exit, stderr } = await run(["migrate", option], settings);
      expect(exit).not.toBe(0);
      expect(stderr).toContain("There is no smartdash database in");
    }
    expect(existsSync(settings.SMARTDASH_HOME)).toBe(false);
  });
});

describe("logs audit", () => {
  test("finds secrets in a file and on stdin, in every encoding, and repeats none", async () => {
    const secret = world.environment["MELI_CLIENT_SECRET"] ?? "";
    const file = join(folder, "app.log");
    const lines = [
      "all is well",
      `Authorization: Bearer ${bearer}`,
      `secret ${Buffer.from(secret).toString("base64")}`,
      `secret ${Buffer.from(secret).toString("hex")}`,
      "token APP_USR-1234567890-112233-abcdef",
      "still well",
    ];
    writeFileSync(file, lines.join("\n"));
    const found = await run(["logs", "audit", file, "--json"]);
    const { suspects } = found.json as { suspects: { line: number }[] };
    expect(found.exit).toBe(1);
    expect([...new Set(suspects.map(({ line }) => line))]).toEqual([2, 3, 4, 5]);
    for (const text of [bearer, secret, "APP_USR-1"]) expect(found.stdout).not.toContain(text);
    const command = `cat ${file} | ${binary()} logs audit -`;
    await using piped = start(["sh", "-c", command], {
      cwd: folder,
      environment: world.environment,
    });
    expect((await piped.ended()).exit).toBe(1);
    writeFileSync(file, "all is well\n");
    expect((await run(["logs", "audit", file])).exit).toBe(0);
    expect((await run(["logs", "audit", join(folder, "nowhere")])).exit).toBe(2);
  });
});

describe("bundle", () => {
  test("is one file for its user alone, without a secret, an account or a person", async () => {
    const out = join(folder, "bundle.json");
    const made = await run(["bundle", "--out", out, "--json"]);
    expect(made.exit).toBe(0);
    const text = readFileSync(out, "utf8");
    const bundle = JSON.parse(text) as Record<string, unknown>;
    expect(
      Object.values(bundle).filter((part) => JSON.stringify(part).includes('"failed"')),
    ).toEqual([]);
    expect(bundle["settings"]).toMatchObject({
      MELI_CLIENT_SECRET: "(set)",
      DATABASE_URL: "(set)",
    });
    expect(statSync(out).mode & 0o077).toBe(0);
    const secrets = ["MELI_CLIENT_SECRET", "ENCRYPTION_KEY", "DATABASE_URL"].map(
      (name) => world.environment[name] ?? "",
    );
    for (const secret of [...secrets, bearer, "100200300", "TIENDA_DEMO"])
      expect(text).not.toContain(secret);
    // It does not write over what is there.
    expect((await run(["bundle", "--out", out])).exit).toBe(2);
  });
});

describe("client-config", () => {
  test("is what the client reads, with OAuth or with a bearer", async () => {
    const url = `${world.url}/mcp/airtable`;
    const cursor = await run(["client-config", "cursor", "--upstream", "airtable"]);
    expect(JSON.parse(cursor.stdout)).toEqual({ mcpServers: { airtable: { url } } });
    const antigravity = await run(["client-config", "antigravity", "--bearer", "sd_ses_x"]);
    expect(JSON.parse(antigravity.stdout)).toEqual({
      mcpServers: {
        mercadolibre: {
          serverUrl: `${world.url}/mcp/mercadolibre`,
          headers: { Authorization: "Bearer sd_ses_x" },
        },
      },
    });
    const unknown = await run(["client-config", "netscape"]);
    expect(unknown.exit).toBe(2);
    expect(unknown.stderr).toContain("There are antigravity, claude-code");
  });
});

test("providers test says whether a provider knows the application", async () => {
  expect((await run(["providers", "test", "mercadolibre", "--json"])).json["outcome"]).toBe(
    "accepted",
  );
  const wrong = await run(["providers", "test", "mercadolibre", "--json"], {
    MELI_CLIENT_SECRET: "wrong",
  });
  expect({ exit: wrong.exit, outcome: wrong.json["outcome"] }).toEqual({
    exit: 1,
    outcome: "refused",
  });
  expect((await run(["providers", "test", "mercadopago"])).exit).not.toBe(0);
});

test("completion: each shell's script is syntax to it, and asks for what comes next", async () => {
  const script = join(folder, "completion");
  for (const shell of ["bash", "zsh", "fish"]) {
    const { stdout, exit } = await run(["complete", shell]);
    expect(exit).toBe(0);
    expect(stdout).toContain("smartdash");
    writeFileSync(script, stdout);
    if (Bun.which(shell) === null) continue;
    expect(Bun.spawnSync([shell, "-n", script]).exitCode).toBe(0);
  }
  const commands = await run(["complete", "--", ""]);
  for (const name of ["serve", "check", "revoke"]) expect(commands.stdout).toContain(name);
  const options = await run(["complete", "--", "revoke", "--"]);
  expect(options.stdout).toContain("--account");
  const inner = await run(["complete", "--", "switch", ""]);
  expect(inner.stdout).toContain("off");
});
