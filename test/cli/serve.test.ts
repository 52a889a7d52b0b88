import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { migrations } from "#db/migrations/embedded.ts";
import { emptyDatabase, testDatabase } from "#test/support/database.ts";
import { serving } from "#test/support/process.ts";
import { encryptionKey } from "#test/support/world.ts";
import { seededBearer } from "./seeded.ts";
import { binary, databasePid, isAlive, newFolder, run, start } from "./program.ts";

setDefaultTimeout(60_000);

const settings = { ENCRYPTION_KEY: encryptionKey, PORT: "0", DRAIN_MS: "500" };

test("a database without tables is refused with the way out, migrated once, and then served", async () => {
  await using folder = await newFolder();
  await using database = await emptyDatabase();
  const launch = { cwd: folder.path, environment: { ...settings, DATABASE_URL: database.url } };
  const names = migrations.map(({ name }) => name);

  const refused = await run(["serve"], launch);
  expect(refused.exit).toBe(1);
  expect(JSON.parse(refused.stdout)).toMatchObject({
    event: "alert",
    kind: "database_init_failed",
  });
  expect(refused.stderr).toContain("code: migrations_pending");
  expect(refused.stderr).toContain("hint: Run: smartdash migrate");

  const first = await run(["migrate", "--json"], launch);
  expect({ exit: first.exit, stderr: first.stderr }).toEqual({ exit: 0, stderr: "" });
  expect(JSON.parse(first.stdout)).toMatchObject({ applied: names });

  const second = await run(["migrate", "--json"], launch);
  expect({ exit: second.exit, found: JSON.parse(second.stdout) }).toMatchObject({
    exit: 0,
    found: { applied: [] },
  });
  const told = await run(["migrate"], launch);
  expect({ exit: told.exit, stdout: told.stdout }).toEqual({ exit: 0, stdout: "" });
  expect(told.stderr).toContain("up to date");

  await using gateway = start([binary(), "serve"], launch);
  await gateway.says(serving);
  expect((await gateway.end("SIGTERM")).exit).toBe(0);
});

test("health tells a running gateway from none; a second one on its port gives way", async () => {
  await using folder = await newFolder();
  await using database = await testDatabase();
  const environment = { ...settings, DATABASE_URL: database.url };
  await using gateway = start([binary(), "serve"], { cwd: folder.path, environment });
  const [, port = ""] = await gateway.says(/"port":(\d+)/);
  const sameport = { cwd: folder.path, environment: { ...environment, PORT: port } };

  const well = await run(["health"], sameport);
  expect({ exit: well.exit, stderr: well.stderr }).toEqual({ exit: 0, stderr: "" });
  expect(JSON.parse(well.stdout)).toMatchObject({ status: "pass", checks: { database: "pass" } });

  const second = await run(["serve"], sameport);
  expect({ exit: second.exit, stdout: second.stdout }).toEqual({ exit: 75, stdout: "" });
  expect(second.stderr).toContain(`127.0.0.1:${port}`);
  expect(second.stderr).toContain("code: port_unavailable");
  expect(second.stderr).toContain("hint:");

  expect((await gateway.end("SIGTERM")).exit).toBe(0);
  const gone = await run(["health"], sameport);
  expect({ exit: gone.exit, stdout: gone.stdout }).toEqual({ exit: 75, stdout: "" });
  expect(gone.stderr).toContain("code: not_running");
});

test("with its own database a gateway is ready within five seconds and takes it along when it ends", async () => {
  await using folder = await newFolder();
  const home = join(folder.path, "home");
  const environment = { PORT: "0", DRAIN_MS: "500", SMARTDASH_HOME: home };
  for (const which of ["first start", "second start"]) {
    const startedAt = performance.now();
    await using gateway = start([binary(), "serve"], { cwd: folder.path, environment });
    const [, url] = await gateway.says(serving);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    const milliseconds = performance.now() - startedAt;
    console.log(`${which}: first 200 after ${milliseconds.toFixed(0)} ms`);
    expect(milliseconds).toBeLessThan(5000);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);

    const pid = (await databasePid(join(home, "data"))) ?? 0;
    expect(isAlive(pid)).toBe(true);
    expect((await gateway.end("SIGTERM")).exit).toBe(0);
    expect(isAlive(pid)).toBe(false);
    expect(await databasePid(join(home, "data"))).toBeUndefined();
  }
});

test("in production a .env.local in the working directory is warned about; otherwise not", async () => {
  await using folder = await newFolder();
  await using database = await testDatabase();
  await writeFile(join(folder.path, ".env.local"), "PORT=from-a-file\n");
  const environment = { ...settings, DATABASE_URL: database.url };
  const said: string[] = [];
  for (const mode of ["production", "development"]) {
    await using gateway = start([binary(), "serve"], {
      cwd: folder.path,
      environment: { ...environment, SMARTDASH_MODE: mode },
    });
    await gateway.says(serving);
    const { exit, stdout } = await gateway.end("SIGTERM");
    expect(exit).toBe(0);
    said.push(...stdout.split("\n").filter((line) => line.includes("env_file_present")));
  }
  expect(said).toHaveLength(1);
  expect(JSON.parse(said[0] ?? "")).toMatchObject({ level: "warn", file: ".env.local" });
});

test("the line that says where it serves names the database and the upstreams, and no user or password", async () => {
  await using folder = await newFolder();
  await using database = await testDatabase();
  const shared = { ...settings, AIRTABLE_CLIENT_ID: "x", SMARTDASH_DEFAULT_UPSTREAM: "airtable" };
  const lines: string[] = [];
  for (const environment of [
    { ...shared, DATABASE_URL: database.url },
    { ...shared, ENCRYPTION_KEY: "", SMARTDASH_HOME: join(folder.path, "home") },
  ]) {
    await using gateway = start([binary(), "serve"], { cwd: folder.path, environment });
    await gateway.says(serving);
    const { stdout } = await gateway.end("SIGTERM");
    lines.push(stdout.split("\n").find((line) => line.includes('"serving"')) ?? "{}");
  }
  const { hostname, port, pathname, searchParams } = new URL(database.url);
  const host = searchParams.get("host") ?? (port === "" ? hostname : `${hostname}:${port}`);
  const [external, bundled] = lines.map((line) => JSON.parse(line) as object);
  expect(external).toMatchObject({ database: `${host}${pathname}`, upstreams: "airtable" });
  expect(bundled).toMatchObject({ database: "bundled", upstreams: "airtable" });
});

test("names that are almost a setting's are warned about at the start, with the right one and no value", async () => {
  await using folder = await newFolder();
  await using database = await testDatabase();
  const environment = {
    ...settings,
    DATABASE_URL: database.url,
    DATABSE_URL: "postgres://u:hunter2@db/x",
    LOG_LVL: "hunter2",
    SMARTDASH_SINGUP: "hunter2",
    MELI_COUNTRY: "hunter2",
  };
  await using gateway = start([binary(), "serve"], { cwd: folder.path, environment });
  await gateway.says(serving);
  const { stdout } = await gateway.end("SIGTERM");
  const told = stdout
    .split("\n")
    .filter((line) => line.includes('"setting_unknown"'))
    .map((line) => JSON.parse(line) as Record<string, string>);
  expect(new Set(told.map(({ level, name, meant }) => `${level} ${name} ${meant}`))).toEqual(
    new Set([
      "warn DATABSE_URL DATABASE_URL",
      "warn LOG_LVL LOG_LEVEL",
      "warn MELI_COUNTRY undefined",
      "warn SMARTDASH_SINGUP SMARTDASH_SIGNUP",
    ]),
  );
  expect(stdout).not.toContain("hunter2");
});

test("accounts whose provider is not configured are warned about at the start; half a registration does not start", async () => {
  await using folder = await newFolder();
  await using database = await testDatabase();
  const environment = { ...settings, DATABASE_URL: database.url };
  await seededBearer({
    ...environment,
    MELI_CLIENT_ID: "1",
    MELI_CLIENT_SECRET: "2",
    SMARTDASH_SIGNUP: "open",
  });
  await using gateway = start([binary(), "serve"], { cwd: folder.path, environment });
  await gateway.says(serving);
  const { stdout } = await gateway.end("SIGTERM");
  const line = stdout.split("\n").find((each) => each.includes('"accounts_without_provider"'));
  expect(JSON.parse(line ?? "{}")).toMatchObject({
    level: "warn",
    provider: "mercadolibre",
    accounts: 1,
  });
  const half = { ...environment, MELI_CLIENT_SECRET: "hunter2" };
  const refused = await run(["serve"], { cwd: folder.path, environment: half });
  expect({ exit: refused.exit, stdout: refused.stdout }).toEqual({ exit: 2, stdout: "" });
  expect(refused.stderr).toContain(
    "MELI_CLIENT_ID is required with MELI_CLIENT_SECRET (without it ",
  );
  expect(refused.stderr).not.toContain("hunter2");
});
