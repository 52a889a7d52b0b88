import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { migrate, pendingMigrations } from "#db/migrate.ts";
import { migrations } from "#db/migrations/embedded.ts";
import type { OpenDatabase } from "#db/open.ts";
import { emptyDatabase } from "#test/support/database.ts";
import { embedMigrations } from "../../scripts/embed.ts";
import { startScript } from "./script.ts";
import { rejection } from "./rejection.ts";

const halfMinute = 30_000;
setDefaultTimeout(halfMinute);

const names = migrations.map((migration) => migration.name);
const [first] = migrations;
const later = { name: "9999_later", sql: "create table later (id int)" };

test("six migrators that start together on an empty database leave one winner", async () => {
  await using database = await emptyDatabase();
  await using six = new AsyncDisposableStack();
  const migrators = Array.from({ length: 6 }, () =>
    six.use(startScript(import.meta.resolve("./migrate-once.ts"), [database.url])),
  );
  const greetings = await Promise.all(migrators.map((migrator) => migrator.nextLine()));
  expect(greetings).toEqual(Array.from({ length: 6 }, () => "ready"));
  await Promise.all(migrators.map((migrator) => migrator.say("go")));
  const said = await Promise.all(migrators.map((migrator) => migrator.nextLine()));
  const outcome = (applied: readonly string[]) => JSON.stringify({ applied });
  expect(said.filter((line) => line === outcome(names))).toHaveLength(1);
  expect(said.filter((line) => line === outcome([]))).toHaveLength(5);
  expect(await journalOf(database.open)).toEqual(names);
});

test("a migration that was changed after it was applied is refused and nothing is applied", async () => {
  await using database = await emptyDatabase();
  const { sql } = database.open;
  await migrate(sql);
  const before = await tablesOf(database.open);
  const changed = [{ ...first, sql: `${first.sql} ` }, ...migrations.slice(1), later];
  const refusal = { code: "migration_changed", message: expect.stringContaining(first.name) };
  expect(await rejection(migrate(sql, changed))).toMatchObject(refusal);
  expect(await rejection(pendingMigrations(sql, changed))).toMatchObject(refusal);
  expect(await tablesOf(database.open)).toEqual(before);
  expect(await journalOf(database.open)).toEqual(names);
});

test("a migration that fails takes back the ones that were applied with it", async () => {
  await using database = await emptyDatabase();
  const wrong = { name: "9999_wrong", sql: "create table later (id int); select 1 / 0" };
  expect(await rejection(migrate(database.open.sql, [...migrations, wrong]))).toMatchObject({
    code: "22012",
  });
  expect(await tablesOf(database.open)).toEqual([]);
  expect(await migrate(database.open.sql)).toEqual({ applied: names });
});

test("the list of pending migrations names what is missing and changes nothing", async () => {
  await using database = await emptyDatabase();
  const { sql } = database.open;
  expect(await pendingMigrations(sql)).toEqual(names);
  expect(await tablesOf(database.open)).toEqual([]);
  await migrate(sql);
  expect(await pendingMigrations(sql)).toEqual([]);
  const before = await tablesOf(database.open);
  expect(await pendingMigrations(sql, [...migrations, later])).toEqual([later.name]);
  expect(await tablesOf(database.open)).toEqual(before);
  expect(await journalOf(database.open)).toEqual(names);
});

test("the binary carries every migration of the folder, in order and word for word", async () => {
  const folder = join(import.meta.dir, "../../db/migrations");
  const written = await Bun.file(join(folder, "embedded.ts")).text();
  expect(withoutLayout(written)).toBe(withoutLayout(await embedMigrations()));
  for (const { name, sql } of migrations) {
    expect(sql).toBe(await Bun.file(join(folder, `${name}.sql`)).text());
  }
});

async function tablesOf({ sql }: OpenDatabase): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`select table_name as name
    from information_schema.tables where table_schema = 'public' order by 1`;
  return rows.map((row) => row.name);
}

async function journalOf({ sql }: OpenDatabase): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`select name from smartdash_migrations order by name`;
  return rows.map((row) => row.name);
}

/** A formatter may move lines and trailing commas. */
function withoutLayout(text: string): string {
  return text.replaceAll(/[\s,]/g, "");
}
