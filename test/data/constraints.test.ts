import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import type { OpenDatabase } from "#db/open.ts";
import { saveRefreshed } from "#src/accounts/refresh/store.ts";
import { accountById, addAccount } from "#src/accounts/store.ts";
import { savePerson } from "#src/people/store.ts";
import { testDatabase } from "#test/support/database.ts";
import { insertEverywhere, shapeOf, survivors, tablesOfPeople } from "./rows-of-person.ts";
import { rejection } from "./rejection.ts";

const halfMinute = 30_000;
setDefaultTimeout(halfMinute);

const uniqueViolation = { code: "23505", constraint_name: "accounts_one_live_per_seller" };
const accessToken = Buffer.from("sealed access");
const refreshToken = Buffer.from("sealed refresh");
const unsaid = {
  label: null,
  site: null,
  scope: null,
  accessExpiresAt: null,
  refreshExpiresAt: null,
  refreshFrom: null,
};

describe("an OAuth account without a refresh token", () => {
  const refused = { code: "23514", constraint_name: "accounts_oauth_has_refresh_token" };

  test.each([
    ["is due", { refresh_from: "2026-01-01", generation: "1" }],
    ["was refreshed", { generation: "2" }],
    ["was connected again and refreshed", { generation: "100001" }],
  ])("is refused by the database when it %s", async (_, more) => {
    await using database = await testDatabase();
    const without = await accountRow(database.open, { refresh_token: null, ...more });
    expect(await rejection(insert(database.open, without))).toMatchObject(refused);
    expect(await states(database.open)).toEqual([]);
  });

  test.each(["1", "100000", "700000"])(
    "is fine as a person brought it: generation %s",
    async (at) => {
      await using database = await testDatabase();
      const without = await accountRow(database.open, { refresh_token: null, generation: at });
      await insert(database.open, without);
      expect(await states(database.open)).toEqual(["active"]);
    },
  );

  test("cannot come about through a refresh; the stored credential stays", async () => {
    await using database = await testDatabase();
    const { db } = database.open;
    const row = await accountRow(database.open);
    await insert(database.open, row);
    const refresh = saveRefreshed(
      db,
      { id: row.id, generation: 1 },
      { ...unsaid, accessToken: Buffer.from("new"), refreshToken: null },
    );
    expect(await rejection(refresh)).toMatchObject({ cause: refused });
    const kept = await accountById(db, row.id);
    expect(kept).toMatchObject({ generation: 1, state: "active" });
    expect(Buffer.from(kept?.refreshToken ?? []).toString()).toBe("sealed refresh");
  });

  test("is fine as a static key", async () => {
    await using database = await testDatabase();
    await insert(
      database.open,
      await accountRow(database.open, { kind: "static", refresh_token: null }),
    );
    expect(await states(database.open)).toEqual(["active"]);
  });
});

describe("a seller at one provider", () => {
  test.each(["active", "reconnect_required"])(
    "has no second live account beside one that is %s",
    async (state) => {
      await using database = await testDatabase();
      await insert(database.open, await accountRow(database.open, { state }));
      for (const second of ["active", "reconnect_required"]) {
        const row = await accountRow(database.open, { state: second });
        expect(await rejection(insert(database.open, row))).toMatchObject(uniqueViolation);
      }
      expect(await states(database.open)).toEqual([state]);
    },
  );

  test("may have revoked accounts beside a live one", async () => {
    await using database = await testDatabase();
    for (const state of ["revoked", "active", "revoked"]) {
      await insert(database.open, await accountRow(database.open, { state }));
    }
    expect(await states(database.open)).toEqual(["active", "revoked", "revoked"]);
  });

  test("does not get a revoked account back to life beside a live one", async () => {
    await using database = await testDatabase();
    await insert(database.open, await accountRow(database.open, { state: "revoked" }));
    await insert(database.open, await accountRow(database.open));
    const revival = database.open.sql`update accounts set state = 'active' where state = 'revoked'`;
    expect(await rejection(revival.execute())).toMatchObject(uniqueViolation);
  });

  test("is another one at another provider", async () => {
    await using database = await testDatabase();
    await insert(database.open, await accountRow(database.open));
    await insert(database.open, await accountRow(database.open, { provider: "mercadopago" }));
    expect(await states(database.open)).toEqual(["active", "active"]);
  });

  test("that twenty requests add at once is added once", async () => {
    await using database = await testDatabase();
    const personId = await newPerson(database.open);
    const adding = Array.from({ length: 20 }, () =>
      addAccount(database.open.db, {
        ...unsaid,
        id: randomUUID(),
        personId,
        provider: "mercadolibre",
        sellerId: "7",
        kind: "oauth",
        accessToken,
        refreshToken,
      }),
    );
    const added = await Promise.all(adding);
    expect(added.filter(Boolean)).toHaveLength(1);
    expect(await states(database.open)).toEqual(["active"]);
  });
});

test.each([
  ["kind", "password", "accounts_kind"],
  ["state", "sleeping", "accounts_state"],
])("an account of an unknown %s is refused", async (column, word, constraint) => {
  await using database = await testDatabase();
  const row = await accountRow(database.open, { [column]: word });
  expect(await rejection(insert(database.open, row))).toMatchObject({
    code: "23514",
    constraint_name: constraint,
  });
});

describe("a person who is deleted", () => {
  test("takes along every row of every table, and nobody else's", async () => {
    await using database = await testDatabase();
    const { sql } = database.open;
    const shape = await shapeOf(sql);
    const [gone, stays] = [await insertEverywhere(sql, shape), await insertEverywhere(sql, shape)];
    expect(await survivors(sql, gone)).toEqual(gone);
    await sql`delete from people where id = ${gone[0]?.id ?? ""}`;
    expect(await survivors(sql, gone)).toEqual([]);
    expect(await survivors(sql, stays)).toEqual(stays);
  });

  test("is tied by a foreign key to every table that could hold something of theirs", async () => {
    await using database = await testDatabase();
    const shape = await shapeOf(database.open.sql);
    const owners = new Set(["person_id", "account_id", "session_id", "seller_id"]);
    const personal = shape.columns
      .filter((column) => owners.has(column.name))
      .map((column) => column.table);
    // Of an import only the number of a row in another store is left, so that it is not taken over again.
    const left = personal.filter((table) => !tablesOfPeople(shape).includes(table));
    expect(left).toEqual(["imports"]);
    expect(tablesOfPeople(shape)).toEqual(
      expect.arrayContaining(["people", "accounts", "sessions", "refresh_events", "calls"]),
    );
  });
});

type AccountRow = Readonly<Record<string, string | Buffer | null>> & { readonly id: string };

/** A row of one seller's account, each time of another person. */
async function accountRow(
  open: OpenDatabase,
  changes: Readonly<Record<string, string | null>> = {},
): Promise<AccountRow> {
  return {
    person_id: await newPerson(open),
    provider: "mercadolibre",
    seller_id: "100200300",
    kind: "oauth",
    state: "active",
    access_token: accessToken,
    refresh_token: refreshToken,
    ...changes,
    id: randomUUID(),
  };
}

async function newPerson(open: OpenDatabase): Promise<string> {
  const id = randomUUID();
  await savePerson(open.db, id);
  return id;
}

async function insert({ sql }: OpenDatabase, row: AccountRow): Promise<void> {
  await sql`insert into accounts ${sql(row)}`;
}

async function states({ sql }: OpenDatabase): Promise<string[]> {
  const rows = await sql<{ state: string }[]>`select state from accounts order by state`;
  return rows.map((row) => row.state);
}
