import { sql } from "drizzle-orm";
import type { Database } from "./open.ts";
import { endings } from "./schema/agents.ts";

/** The channel on which topics are told at once; whoever cannot listen reads the table. */
export const topicsChannel = "smartdash_endings";

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

/** As it is stored: its kind may be one of a newer version. */
export type Published = Pick<typeof endings.$inferSelect, "id" | "subject">;

/** Writes topics down and tells every replica. `db` may be a transaction: they are told with the commit. */
export async function publish(
  db: Pick<Database, "execute">,
  topics: readonly Topic[],
): Promise<void> {
  if (topics.length === 0) return;
  const json = JSON.stringify(topics);
  await db.execute(sql`
    with published as (
      insert into ${endings} (subject) select value from jsonb_array_elements_text(${json}::text::jsonb)
      returning id, subject)
    select pg_notify(${topicsChannel}, id || ' ' || subject) from published`);
}

/** What was published since `from` (or in the last `latelyMs`), and the database's clock now. */
export async function publishedSince(
  db: Database,
  from: Date | undefined,
  latelyMs: number,
): Promise<{ readonly now: Date; readonly published: readonly Published[] }> {
  const since =
    from === undefined
      ? sql`clock_timestamp() - ${`${latelyMs} ms`}::text::interval`
      : sql`${from.toISOString()}::timestamptz`;
  const [row] = await db.execute<{ now: string; published: readonly Published[] }>(sql`
    select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now,
      coalesce((select jsonb_agg(jsonb_build_object('id', id, 'subject', subject))
        from ${endings} where at > ${since}), '[]'::jsonb) as published`);
  return { now: new Date(row?.now ?? 0), published: row?.published ?? [] };
}
