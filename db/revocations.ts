import { type SQL, and, isNull, sql } from "drizzle-orm";
import type { Database } from "./open.ts";
import { consents, endings, grants } from "./schema/agents.ts";

/** The channel on which topics are told at once; whoever cannot listen reads the table. */
export const revocationsChannel = "smartdash_endings";

/**
 * What replicas tell each other: what ended (`grant:ID`, `session:ID`, `token:ID`, `agent:ID`), was switched
 * (`off:SUBJECT`, `on:SUBJECT`) or has changed (`policy:SUBJECT`, `tools:UPSTREAM`, `peer:NODE/PEER`, `keys`), and what a
 * node is asked for (`announce:NODE`).
 */
export type Topic = `${(typeof topicKinds)[number]}:${string}` | "keys";

const topicKinds = [
  "grant",
  "session",
  "token",
  "agent",
  "off",
  "on",
  "policy",
  "tools",
  "peer",
  "announce",
] as const;

/** Whether this version knows what it is about: a newer replica may tell of more. */
export function isTopic(text: string): text is Topic {
  return text === "keys" || topicKinds.some((kind) => text.startsWith(`${kind}:`));
}

export type Revocation = Pick<typeof endings.$inferSelect, "id" | "subject">;

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
  await publishRevocations(db, topics);
  return topics;
}

/** Writes down what has ended and tells every replica. `db` may be a transaction: it is told with the commit. */
export async function publishRevocations(
  db: Pick<Database, "execute">,
  topics: readonly Topic[],
): Promise<void> {
  if (topics.length === 0) return;
  const json = JSON.stringify(topics);
  await db.execute(sql`
    with ended as (
      insert into ${endings} (subject) select value from jsonb_array_elements_text(${json}::text::jsonb)
      returning id, subject)
    select pg_notify(${revocationsChannel}, id || ' ' || subject) from ended`);
}

/** What has ended since `from` (or in the last `latelyMs`), and the database's clock now. */
export async function revocationsSince(
  db: Database,
  from: Date | undefined,
  latelyMs: number,
): Promise<{ readonly now: Date; readonly ended: readonly Revocation[] }> {
  const since =
    from === undefined
      ? sql`clock_timestamp() - ${`${latelyMs} ms`}::text::interval`
      : sql`${from.toISOString()}::timestamptz`;
  const [row] = await db.execute<{ now: string; ended: readonly Revocation[] }>(sql`
    select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now,
      coalesce((select jsonb_agg(jsonb_build_object('id', id, 'subject', subject))
        from ${endings} where at > ${since}), '[]'::jsonb) as ended`);
  return { now: new Date(row?.now ?? 0), ended: row?.ended ?? [] };
}
