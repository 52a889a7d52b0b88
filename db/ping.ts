import { sql } from "drizzle-orm";
import type { Database } from "./open.ts";

/** Resolves when the database has answered. */
export async function ping(db: Database): Promise<void> {
  await db.execute(sql`select 1`);
}

/** The database's clock: the one that all replicas share. */
export async function databaseNow(db: Database): Promise<Date> {
  const [row] = await db.execute<{ now: string }>(sql`
    select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now`);
  return new Date(row?.now ?? 0);
}
