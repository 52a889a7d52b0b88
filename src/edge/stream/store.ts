import { inArray } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";

/** What state these accounts are in. */
export async function statesOf(
  db: Database,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await db
    .select({ id: accounts.id, state: accounts.state })
    .from(accounts)
    .where(inArray(accounts.id, [...ids]));
  return new Map(rows.map(({ id, state }) => [id, state]));
}
