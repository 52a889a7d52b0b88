import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBundled } from "#db/embedded.ts";
import { migrate } from "#db/migrate.ts";
import { type OpenDatabase, openDatabase } from "#db/open.ts";
import { bunRuntime } from "#src/runtime/bun.ts";

/** A PostgreSQL with a migrated database that every test database is a copy of. */
export type TestServer = AsyncDisposable & { readonly url: string };

/** Where `scripts/test.ts` has started one for all files; a file that runs alone starts its own. */
export const serverVariable = "SMARTDASH_TEST_DATABASE";

const template = "test_template";

let running: Promise<{ readonly url: string; readonly admin: OpenDatabase }> | undefined;
let own: TestServer | undefined;

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

/**
 * Starts a PostgreSQL for tests alone: what is lost when the machine loses power, nobody misses, so nothing is synced
 * to the disk. Where durability is what is tested, a test starts the gateway's own.
 */
export async function startTestServer(): Promise<TestServer> {
  const folder = await mkdtemp(join(await memoryFolder(), "sd-"));
  const server = await startBundled(folder, installPostgres, {
    fsync: "off",
    synchronous_commit: "off",
    full_page_writes: "off",
    max_connections: "300",
  });
  const admin = openDatabase(server.url, 1);
  await admin.sql.unsafe(`create database ${template}`);
  await admin.close();
  const open = openDatabase(withDatabase(server.url, template), 1);
  await migrate(open.sql);
  await open.close();
  return {
    url: server.url,
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const memoryPath = "/dev/shm";
const memoryBytes = 2 * 1024 ** 3;

/**
 * Where files are in memory, if there is enough of it: a database is hundreds of files, and a file system on a disk
 * may take 300 ms to make and remove them.
 */
async function memoryFolder(): Promise<string> {
  const found = await statfs(memoryPath).catch(() => undefined);
  return found !== undefined && found.bavail * found.bsize > memoryBytes ? memoryPath : tmpdir();
}

/** A folder for whatever a run of tests leaves; for its TMPDIR. */
export async function runFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(join(await memoryFolder(), "sd-run-"));
  // The user of PostgreSQL has to pass through.
  await chmod(folder, 0o711);
  return {
    path: folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 20 }),
  };
}

/** Ends what this process has opened. */
export async function closeTestServer(): Promise<void> {
  if (running === undefined) return;
  const { admin } = await running;
  await admin.close();
  await own?.[Symbol.asyncDispose]();
}

async function openServer() {
  const given = process.env[serverVariable];
  if (given === undefined) own = await startTestServer();
  const url = given ?? own?.url ?? "";
  return { url, admin: openDatabase(url, 2) };
}

async function createFrom(source: string): Promise<TestDatabase> {
  running ??= openServer();
  const { url: serverUrl, admin } = await running;
  const name = `world_${randomBytes(6).toString("hex")}`;
  await admin.sql.unsafe(`create database ${name} template ${source}`);
  const url = withDatabase(serverUrl, name);
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

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
