import { expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { migrate, pendingMigrations } from "#db/migrate.ts";
import { migrations } from "#db/migrations/embedded.ts";
import { type OpenDatabase, openDatabase } from "#db/open.ts";
import { leaseRefresh, saveRefreshed } from "#src/accounts/refresh/store.ts";
import { accountById, addAccount } from "#src/accounts/store.ts";
import { chainWith } from "#src/proxy/record.ts";
import { saveCalls } from "#src/proxy/call-store.ts";
import { encodedRows } from "#test/support/call-rows.ts";
import { savePerson } from "#src/people/store.ts";
import { type TestDatabase, emptyDatabase, testDatabase } from "#test/support/database.ts";
import { type Pooler, startPooler } from "./pooler.ts";
import { rejection } from "./rejection.ts";

const halfMinute = 30_000;
const journal = randomUUID();
setDefaultTimeout(halfMinute);

test("the pooler keeps neither a session's settings nor its prepared statements", async () => {
  await using database = await testDatabase();
  await using pooler = await poolerFor(database);
  const sql = postgres(throughPooler(database, pooler), {
    max: 1,
    prepare: true,
    fetch_types: false,
    onnotice: () => undefined,
  });
  try {
    const pids = [];
    for (let each = 0; each < 4; each++) pids.push((await pidOf(sql)).pid);
    expect(new Set(pids).size).toBe(3);
    expect(pids[3]).toBe(pids[0]);

    await sql`set statement_timeout = '77s'`.simple();
    const [shown] = await sql`show statement_timeout`.simple();
    expect(shown?.["statement_timeout"]).toBe("0");

    const twice = () => sql.begin((transaction) => transaction`select ${1}::int as one`);
    await twice();
    expect(await rejection(twice())).toMatchObject({ code: "26000" });
  } finally {
    await sql.end();
  }
});

test("a transaction stays on one server of the pooler until it ends", async () => {
  await using database = await testDatabase();
  await using pooler = await poolerFor(database);
  await using pooled = openThrough(database, pooler);
  const pids = await pooled.open.sql.begin(async (transaction) => [
    (await pidOf(transaction)).pid,
    (await pidOf(transaction)).pid,
  ]);
  expect(pids[0]).toBe(pids[1]);
  expect((await pidOf(pooled.open.sql)).pid).not.toBe(pids[0]);
});

test("thirty migrators that share ten connections behind the pooler leave one winner", async () => {
  await using database = await emptyDatabase();
  await using pooler = await poolerFor(database);
  await using pooled = openThrough(database, pooler);
  const { sql } = pooled.open;
  const outcomes = await Promise.all(Array.from({ length: 30 }, () => migrate(sql)));
  const winners = outcomes.filter((outcome) => outcome.applied.length > 0);
  expect(winners).toEqual([{ applied: migrations.map((migration) => migration.name) }]);
  expect(await pendingMigrations(sql)).toEqual([]);
});

test("fifty sellers at once connect, refresh and call behind the pooler", async () => {
  await using database = await testDatabase();
  await using pooler = await poolerFor(database);
  await using pooled = openThrough(database, pooler);
  const { db } = pooled.open;
  const sellers = Array.from({ length: 50 }, (_, index) => `seller-${index}`);
  const stored = await Promise.all(sellers.map((sellerId) => liveThrough(db, sellerId)));
  expect(stored).toEqual(sellers.map((sellerId) => ({ sellerId, access: `new ${sellerId}` })));
  const { sql } = database.open;
  const [counts] = await sql`select (select count(*) from people) as people,
    (select count(*) from accounts where generation = 2 and lease_holder is null) as accounts,
    (select count(*) from calls) as calls`;
  expect(counts).toEqual({ people: "50", accounts: "50", calls: "150" });
});

test("of fifty refreshers that meet behind the pooler one gets the lease", async () => {
  await using database = await testDatabase();
  await using pooler = await poolerFor(database);
  await using pooled = openThrough(database, pooler);
  const { db } = pooled.open;
  const { id } = await connect(db, "seller");
  const leases = await Promise.all(
    Array.from({ length: 50 }, () =>
      leaseRefresh(db, { id, generation: 1 }, { holder: randomUUID(), journal, seconds: 60 }),
    ),
  );
  expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1);
});

type Db = OpenDatabase["db"];

async function connect(db: Db, sellerId: string): Promise<{ id: string; personId: string }> {
  const [id, personId] = [randomUUID(), randomUUID()];
  await savePerson(db, personId);
  await addAccount(db, {
    id,
    personId,
    provider: "mercadolibre",
    sellerId,
    kind: "oauth",
    label: null,
    site: "MLA",
    scope: "read",
    accessExpiresAt: new Date(),
    refreshExpiresAt: null,
    refreshFrom: null,
    accessToken: Buffer.from(`old ${sellerId}`),
    refreshToken: Buffer.from(`refresh ${sellerId}`),
  });
  return { id, personId };
}

async function liveThrough(db: Db, sellerId: string) {
  const { id, personId } = await connect(db, sellerId);
  const version = { id, generation: 1 };
  const leased = await leaseRefresh(db, version, { holder: randomUUID(), journal, seconds: 60 });
  await saveRefreshed(
    db,
    { id, generation: leased?.generation ?? 0 },
    {
      accessToken: Buffer.from(`new ${sellerId}`),
      refreshToken: Buffer.from(`refresh ${sellerId}`),
      accessExpiresAt: new Date(),
      refreshExpiresAt: null,
      refreshFrom: null,
    },
  );
  const makeLink = chainWith(new Uint8Array(32));
  await saveCalls(
    db,
    encodedRows([callOf(personId), callOf(personId), callOf(personId)]),
    makeLink,
  );
  const account = await accountById(db, id);
  return {
    sellerId: account?.sellerId,
    access: Buffer.from(account?.accessToken ?? []).toString(),
  };
}

function callOf(personId: string) {
  return {
    id: randomUUID(),
    at: new Date(),
    personId,
    requestId: "request",
    upstream: "mercadolibre",
    httpMethod: "POST",
    status: 200,
    durationMs: 12,
  };
}

async function pidOf(sql: postgres.Sql | postgres.TransactionSql): Promise<{ pid: number }> {
  const [row] = await sql<[{ pid: number }]>`select pg_backend_pid() as pid`.simple();
  return row;
}

function poolerFor(database: TestDatabase): Promise<Pooler> {
  return startPooler(new URL(database.url).searchParams.get("host") ?? "");
}

function throughPooler(database: TestDatabase, pooler: Pooler): string {
  const { username, pathname } = new URL(database.url);
  return `postgres://${username}@127.0.0.1:${pooler.port}${pathname}`;
}

function openThrough(database: TestDatabase, pooler: Pooler) {
  const open = openDatabase(throughPooler(database, pooler), 10);
  return { open, [Symbol.asyncDispose]: () => open.close() };
}
