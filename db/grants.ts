import { type SQL, and, isNull, sql } from "drizzle-orm";
import type { Database } from "./open.ts";
import { consents, grants } from "./schema/agents.ts";
import { type Topic, publish } from "./topics.ts";

/**
 * Ends every open grant that fits, with the consents it rested on, and tells every replica.
 * Returns the topics of what ended. `db` is a transaction.
 */
export async function endGrantsWhere(
  db: Pick<Database, "execute" | "update" | "delete">,
  which: SQL | undefined,
  now: Date,
): Promise<readonly Topic[]> {
  const ended = await db
    .update(grants)
    .set({ endedAt: now })
    .where(and(which, isNull(grants.endedAt)))
    .returning({ id: grants.id, personId: grants.personId, clientId: grants.clientId });
  for (const { personId, clientId } of ended) {
    await db
      .delete(consents)
      .where(sql`${consents.personId} = ${personId} and ${consents.clientId} = ${clientId}`);
  }
  const topics = ended.map(({ id }): Topic => `grant:${id}`);
  await publish(db, topics);
  return topics;
}
