import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres from "postgres";

export type Database = PostgresJsDatabase;

/** `sql` is for `db/` itself (migrations, the bundled server); everything else asks `db`. */
export type OpenDatabase = {
  readonly db: Database;
  readonly sql: postgres.Sql;
  /**
   * Hears what others `pg_notify` on a channel, on a connection of its own that is opened again when it
   * breaks. Behind a transaction-mode pooler nothing may arrive: a message is a hint, never the only way.
   */
  readonly listen: (channel: string, hear: (message: string) => void) => Promise<void>;
  close(): Promise<void>;
};

const connectSeconds = 5;
const closeSeconds = 5;
const longestBackoffSeconds = 1;

/**
 * Opens a connection pool; connects on first use.
 *
 * No named prepared statements, no session state: correct behind a transaction-mode pooler.
 * @param url `postgres://user:password@host:port/name`; libpq's `?host=/folder` names a unix socket.
 * @param connections Upper bound of the pool.
 */
export function openDatabase(url: string, connections: number): OpenDatabase {
  const { address, socketFolder } = splitSocketFolder(url);
  const sql = postgres(address, {
    max: connections,
    prepare: false,
    fetch_types: false,
    connect_timeout: connectSeconds,
    backoff: (attempt: number) => Math.min(0.05 * 2 ** attempt, longestBackoffSeconds),
    connection: { application_name: "smartdash" },
    onnotice: () => undefined,
    ...(socketFolder === undefined ? {} : { host: socketFolder }),
  });
  return {
    db: drizzle(sql),
    sql,
    listen: async (channel, hear) => void (await sql.listen(channel, hear)),
    close: () => sql.end({ timeout: closeSeconds }),
  };
}

function splitSocketFolder(url: string): { address: string; socketFolder: string | undefined } {
  const parsed = new URL(url);
  const socketFolder = parsed.searchParams.get("host") ?? undefined;
  parsed.searchParams.delete("host");
  return { address: parsed.href, socketFolder };
}
