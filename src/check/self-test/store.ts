import { sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts, providerStates } from "#db/schema/accounts.ts";

/** Between two simulated answers: nothing that the first one led to stands in the way of the second. */
export async function forgetTrouble(db: Database): Promise<void> {
  await db.delete(providerStates);
}

/** When an account may be refreshed again, in seconds from now by the database's clock; 0 for now. */
export async function secondsUntilRetry(db: Database, id: string): Promise<number> {
  const [row] = await db
    .select({
      seconds: sql<number>`coalesce(greatest(extract(epoch from ${accounts.retryAt} - now()), 0), 0)::float8`,
    })
    .from(accounts)
    .where(sql`${accounts.id} = ${id}::uuid`);
  return row?.seconds ?? 0;
}
