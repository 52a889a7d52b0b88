import { sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts, refreshEvents } from "#db/schema/accounts.ts";
import type { Version } from "../journal/answers.ts";

/**
 * Notes that a generation is about to be sent. False when it is no longer the current one: whoever found no
 * answer in the journal must look here afterwards, because an answer leaves the journal only for the row.
 */
export async function saveRefreshStart(
  db: Database,
  version: Version,
  event: { readonly id: string; readonly requestId: string },
): Promise<boolean> {
  const rows = await db.execute(sql`
    insert into ${refreshEvents} (id, account_id, event, generation, request_id)
    select ${event.id}::uuid, id, 'refresh_start', generation, ${event.requestId}
    from ${accounts} where id = ${version.id}::uuid and generation = ${version.generation}
    returning id`);
  return rows.length === 1;
}

export async function saveRefreshEvent(
  db: Database,
  event: typeof refreshEvents.$inferInsert,
): Promise<void> {
  await db.insert(refreshEvents).values(event);
}
