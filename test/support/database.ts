import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BundledDatabase, startBundled } from "#db/embedded.ts";
import { migrate } from "#db/migrate.ts";
import { type OpenDatabase, openDatabase } from "#db/open.ts";
import { bunRuntime } from "#src/runtime/bun.ts";

/** The bundled PostgreSQL, one for all tests of this process. */
type TestServer = {
  readonly folder: string;
  readonly server: BundledDatabase;
  readonly admin: OpenDatabase;
};

let running: Promise<TestServer> | undefined;
let count = 0;
const template = "test_template";

export type TestDatabase = AsyncDisposable & {
  readonly url: string;
  readonly open: OpenDatabase;
  /** The same database as it is now, under another name; nobody may be connected but the test. */
  copy(): Promise<TestDatabase>;
};

/** A migrated database of one's own, made from a template. */
export function testDatabase(): Promise<TestDatabase> {
  return createFrom(template);
}

/** A database without any table. */
export function emptyDatabase(): Promise<TestDatabase> {
  return createFrom("template0");
}

export function installPostgres(folder: string): Promise<void> {
  if (bunRuntime.installPostgres === undefined) throw new Error("Bun can install PostgreSQL");
  return bunRuntime.installPostgres(folder);
}

/** A folder that the server's unprivileged user can pass through. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "sd-"));
}

export async function stopTestServer(): Promise<void> {
  if (running === undefined) return;
  const { admin, server, folder } = await running;
  await admin.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

async function createFrom(source: string): Promise<TestDatabase> {
  running ??= startServer();
  const { server, admin } = await running;
  const name = `world_${++count}`;
  await admin.sql.unsafe(`create database ${name} template ${source}`);
  const url = withDatabase(server.url, name);
  const open = openDatabase(url, 4);
  return {
    url,
    open,
    async copy() {
      await admin.sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
      return await createFrom(name);
    },
    async [Symbol.asyncDispose]() {
      await open.close();
      await admin.sql.unsafe(`drop database ${name} with (force)`);
    },
  };
}

async function startServer(): Promise<TestServer> {
  const folder = await temporaryFolder();
  const server = await startBundled(folder, installPostgres);
  const admin = openDatabase(server.url, 2);
  await admin.sql.unsafe(`create database ${template}`);
  const open = openDatabase(withDatabase(server.url, template), 1);
  await migrate(open.sql);
  await open.close();
  return { folder, server, admin };
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
