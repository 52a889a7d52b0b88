import { is, sql } from "drizzle-orm";
import { PgTable, getTableConfig } from "drizzle-orm/pg-core";
import type { Database } from "#db/open.ts";
import * as accountTables from "#db/schema/accounts.ts";
import * as agentTables from "#db/schema/agents.ts";
import * as callTables from "#db/schema/calls.ts";
import * as operationTables from "#db/schema/operations.ts";
import * as personTables from "#db/schema/people.ts";
import * as edgeTables from "#db/schema/edge.ts";
import * as guardTables from "#db/schema/guards.ts";
import { codeOf } from "#src/failure.ts";

export type DatabaseFacts = {
  /** E.g. 180004. */
  readonly version: number;
  readonly isSuperuser: boolean;
  readonly mayCreateRoles: boolean;
  readonly isEncrypted: boolean;
  readonly mostConnections: number;
  readonly usedConnections: number;
  /** Gateways and commands of ours that are connected, by address. */
  readonly gateways: number;
};

export async function databaseFacts(db: Database): Promise<DatabaseFacts> {
  const [row] = await db.execute(sql`
    select current_setting('server_version_num')::int as version, r.rolsuper, r.rolcreaterole,
      coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as ssl,
      current_setting('max_connections')::int as most,
      (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used,
      (select count(distinct coalesce(client_addr::text, 'local'))::int from pg_stat_activity
        where application_name = 'smartdash') as gateways
    from pg_roles r where r.rolname = current_user`);
  const number = (name: string) => Number(row?.[name] ?? 0);
  return {
    version: number("version"),
    isSuperuser: row?.["rolsuper"] === true,
    mayCreateRoles: row?.["rolcreaterole"] === true,
    isEncrypted: row?.["ssl"] === true,
    mostConnections: number("most"),
    usedConnections: number("used"),
    gateways: number("gateways"),
  };
}

/** Every index, constraint and key that the code relies on, by name. */
function expectedNames(): readonly string[] {
  const modules = [
    accountTables,
    agentTables,
    callTables,
    edgeTables,
    guardTables,
    operationTables,
    personTables,
  ];
  const tables = modules.flatMap((each) =>
    Object.values(each).filter((value) => is(value, PgTable)),
  );
  return tables.flatMap((table) => {
    const { indexes, checks } = getTableConfig(table);
    const named = indexes.map(({ config }) => config.name ?? "");
    return named.filter((name) => name !== "").concat(checks.map(({ name }) => name));
  });
}

/** The names among them that the database does not have, or has not validated. */
export async function missingNames(db: Database): Promise<readonly string[]> {
  const expected = expectedNames();
  const rows = await db.execute<{ name: string }>(sql`
    select name from jsonb_array_elements_text(${JSON.stringify(expected)}::text::jsonb) as e(name)
    where not exists (select 1 from pg_index i join pg_class c on c.oid = i.indexrelid
        where c.relname = name and i.indisvalid and c.relnamespace = current_schema()::regnamespace)
      and not exists (select 1 from pg_constraint k
        where k.conname = name and k.convalidated and k.connamespace = current_schema()::regnamespace)`);
  return rows.map(({ name }) => name);
}

class Undo extends Error {}

type Trial = {
  readonly what: string;
  readonly expects: string;
  readonly statement: ReturnType<typeof sql>;
};

/** What must never be stored, with the SQLSTATE that PostgreSQL has to answer. */
function trials(person: string, seller: string): readonly Trial[] {
  const row = (kind: string, state: string, refresh: string | null) => sql`
    insert into accounts (id, person_id, provider, seller_id, kind, state, access_token, refresh_token, refresh_from)
    values (gen_random_uuid(), ${person}::uuid, 'smartdash-check', ${seller}, ${kind}, ${state}, ''::bytea,
      ${refresh === null ? sql`null` : sql`''::bytea`}, now())`;
  return [
    {
      what: "an OAuth account that is due, without a refresh token",
      expects: "23514",
      statement: row("oauth", "active", null),
    },
    {
      what: "a state that there is not",
      expects: "23514",
      statement: row("oauth", "lost", ""),
    },
    {
      what: "two active accounts of one seller",
      expects: "23505",
      statement: sql`${row("oauth", "active", "")}, (gen_random_uuid(), ${person}::uuid, 'smartdash-check',
        ${seller}, 'oauth', 'active', ''::bytea, ''::bytea, now())`,
    },
  ];
}

/** What the database took although it must not. Tried in a transaction that is always undone. */
export async function wronglyTaken(db: Database): Promise<readonly string[]> {
  const taken: string[] = [];
  await db
    .transaction(async (transaction) => {
      const person = crypto.randomUUID();
      await transaction.execute(sql`insert into people (id) values (${person}::uuid)`);
      for (const { what, expects, statement } of trials(person, person)) {
        const outcome = await transaction
          .transaction(async (inner) => {
            await inner.execute(statement);
            throw new Undo();
          })
          .catch((error: unknown) => (error instanceof Undo ? "taken" : stateOf(error)));
        if (outcome !== expects) taken.push(what);
      }
      throw new Undo();
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undo)) throw error;
    });
  return taken;
}

function stateOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return codeOf(cause) ?? "unknown";
}

/** When the key that signs access tokens now was made; undefined before the first start. */
export async function signingKeyAge(db: Database): Promise<number | undefined> {
  const [row] = await db.execute<{ days: number }>(sql`
    select extract(epoch from now() - max(created_at))::float8 / 86400 as days from signing_keys
    where state = 'current' having max(created_at) is not null`);
  return row?.days;
}

/** What providers refused within the last day, counted. */
export async function recentTrouble(
  db: Database,
): Promise<
  readonly { provider: string; code: string | null; status: number | null; count: number }[]
> {
  const rows = await db.execute<{
    provider: string;
    code: string | null;
    status: number | null;
    count: number;
  }>(sql`
    select a.provider, e.code, e.provider_status as status, count(*)::int as count
    from refresh_events e join accounts a on a.id = e.account_id
    where e.event = 'refresh_fail' and e.at > now() - interval '1 day' group by 1, 2, 3 order by 4 desc limit 50`);
  return [...rows];
}

/** How many accounts of which provider came by OAuth and are not revoked. */
export async function oauthAccounts(
  db: Database,
): Promise<readonly { readonly provider: string; readonly accounts: number }[]> {
  const rows = await db.execute<{ provider: string; accounts: number }>(sql`
    select provider, count(*)::int as accounts from accounts
    where kind = 'oauth' and state <> 'revoked' group by 1 order by 1`);
  return [...rows];
}
