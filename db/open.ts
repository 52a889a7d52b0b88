import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { readAddress, tlsOptions } from "./address.ts";

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
 * @param url A connection string; see `readAddress`.
 * @param connections Upper bound of the pool.
 * Throws `AddressProblem`.
 */
export function openDatabase(url: string, connections: number): OpenDatabase {
  const address = readAddress(url);
  const { hosts, socket, user, password, sessionAttributes } = address;
  // Its types know one host alone.
  const place: object =
    socket === undefined
      ? { host: hosts.map(({ host }) => host), port: hosts.map(({ port }) => port) }
      : { host: socket.folder, port: socket.port };
  const sql = postgres({
    ...place,
    ...(address.database === "" ? {} : { database: address.database }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ssl: tlsOptions(address.tls),
    ...(sessionAttributes === undefined ? {} : { target_session_attrs: sessionAttributes }),
    max: connections,
    prepare: false,
    fetch_types: false,
    connect_timeout: address.connectSeconds ?? connectSeconds,
    backoff: (attempt: number) => Math.min(0.05 * 2 ** attempt, longestBackoffSeconds),
    connection: address.session,
    onnotice: () => undefined,
  });
  return {
    db: drizzle(sql),
    sql,
    listen: async (channel, hear) => void (await sql.listen(channel, hear)),
    close: () => sql.end({ timeout: closeSeconds }),
  };
}
