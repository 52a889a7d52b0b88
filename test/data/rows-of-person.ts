import { randomBytes, randomUUID } from "node:crypto";
import type { OpenDatabase } from "#db/open.ts";

type Sql = OpenDatabase["sql"];
type Column = { readonly table: string; readonly name: string; readonly type: string };
type Link = { readonly table: string; readonly column: string; readonly target: string };

/** What the database knows about its own tables, so that a table of tomorrow is covered today. */
export type Shape = { readonly columns: readonly Column[]; readonly links: readonly Link[] };

/** A row by the column that tells it apart. */
export type Row = { readonly table: string; readonly key: string; readonly id: string };

/** Words of columns that hold one of a few; every other text is made up. */
const words: Readonly<Record<string, string | null>> = {
  "accounts.kind": "static",
  "accounts.state": "active",
  "refresh_events.event": "refresh_start",
  "agents.kind": "dynamic",
  "agents.auth_method": "none",
  "agents.secret_fingerprint": null,
  "device_codes.state": "pending",
  "approvals.state": "pending",
  "approvals.extent": null,
  "grants.only_reading": "false",
  "consents.only_reading": "false",
};

export async function shapeOf(sql: Sql): Promise<Shape> {
  const columns = await sql<Column[]>`
    select table_name as table, column_name as name, data_type as type
    from information_schema.columns where table_schema = 'public' and is_generated = 'NEVER'`;
  const links = await sql<Link[]>`
    select c.conrelid::regclass::text as table, a.attname as column, c.confrelid::regclass::text as target
    from pg_constraint c
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'f' and c.confdeltype = 'c' and c.connamespace = 'public'::regnamespace`;
  return { columns, links };
}

/** Tables that lead to `people` through foreign keys, each after the ones it needs. */
export function tablesOfPeople({ links }: Shape): readonly string[] {
  const reached = ["people"];
  for (;;) {
    const next = links.find(
      (link) => !reached.includes(link.table) && reached.includes(link.target),
    );
    if (next === undefined) return inOrderOfNeed(reached, links);
    reached.push(next.table);
  }
}

/** One row in each of these tables, every foreign key pointing to this person's rows. */
export async function insertEverywhere(sql: Sql, shape: Shape): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const table of tablesOfPeople(shape)) {
    const id = randomUUID();
    const columns = shape.columns.filter((column) => column.table === table);
    const values = columns.map((column) => [column.name, valueFor(column, shape, rows)] as const);
    const names = new Set(columns.map(({ name }) => name));
    const key = ["id", "fingerprint"].find((name) => names.has(name)) ?? "client_id";
    const own = key === "fingerprint" ? Buffer.from(id) : id;
    await sql`insert into ${sql(table)} ${sql({ ...Object.fromEntries(values), [key]: own })}`;
    rows.push({ table, key, id });
  }
  return rows;
}

export async function survivors(sql: Sql, rows: readonly Row[]): Promise<readonly Row[]> {
  const found = await Promise.all(
    rows.map(async (each) => {
      const { table, key, id } = each;
      const own = key === "fingerprint" ? Buffer.from(id) : id;
      const [row] = await sql`select 1 from ${sql(table)} where ${sql(key)} = ${own}`;
      return row === undefined ? [] : [each];
    }),
  );
  return found.flat();
}

function inOrderOfNeed(tables: readonly string[], links: readonly Link[]): readonly string[] {
  const needs = (table: string) =>
    links
      .filter((link) => link.table === table && link.target !== table)
      .map((link) => link.target);
  const ordered: string[] = [];
  while (ordered.length < tables.length) {
    const ready = tables.filter(
      (table) =>
        !ordered.includes(table) &&
        needs(table).every((need) => ordered.includes(need) || !tables.includes(need)),
    );
    if (ready.length === 0) throw new Error(`a circle of foreign keys beyond ${ordered.join()}`);
    ordered.push(...ready);
  }
  return ordered;
}

type Value = string | number | Buffer | null;

function valueFor(column: Column, shape: Shape, rows: readonly Row[]): Value {
  const word = words[`${column.table}.${column.name}`];
  if (word !== undefined) return word;
  const link = shape.links.find(
    (each) => each.table === column.table && each.column === column.name,
  );
  const target = rows.find((row) => row.table === link?.target);
  if (target !== undefined) return target.id;
  switch (column.type) {
    case "uuid":
      return randomUUID();
    case "text":
      return `some-${randomUUID()}`;
    case "ARRAY":
    case "jsonb":
      return "{}";
    case "bytea":
      return randomBytes(32);
    case "integer":
      return 1;
    case "timestamp with time zone":
      return new Date().toISOString();
    default:
      throw new Error(`say here how to fill ${column.table}.${column.name} (${column.type})`);
  }
}
