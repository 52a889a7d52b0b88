import { and, eq, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import type { Condition } from "./condition-store.ts";
import { alerts } from "#db/schema/operations.ts";

export type Alert = typeof alerts.$inferSelect;

/** Brings the table up to date: what is wrong fires, what is not any more is resolved. */
export async function saveConditions(
  db: Database,
  conditions: readonly Condition[],
): Promise<void> {
  const json = JSON.stringify(conditions);
  await db.transaction(async (transaction) => {
    await transaction.execute(sql`
      insert into ${alerts} as a (kind, subject, state, summary)
      select kind, subject, 'firing', summary
      from jsonb_to_recordset(${json}::text::jsonb) as c(kind text, subject text, summary text)
      on conflict (kind, subject) do update set state = 'firing', summary = excluded.summary, seen_at = now(),
        fired_at = case when a.state = 'firing' then a.fired_at else now() end,
        acknowledged_at = case when a.state = 'firing' then a.acknowledged_at end,
        acknowledged_by = case when a.state = 'firing' then a.acknowledged_by end`);
    await transaction.execute(sql`
      update ${alerts} set state = 'resolved', seen_at = now() where state = 'firing' and not exists (
        select 1 from jsonb_to_recordset(${json}::text::jsonb) as c(kind text, subject text)
        where c.kind = ${alerts.kind} and c.subject = ${alerts.subject})`);
  });
}

/** A sink that has not taken a message after so many tries is told again after the cool-down, if it still fires. */
export const mostTries = 5;

/**
 * Takes what has to be told now: that something began (again only after the cool-down), or that what was told is
 * over. From this statement on it counts as told; `pending` names the sinks that have not taken it.
 */
export async function takePending(
  db: Database,
  sinks: readonly string[],
  cooldownMs: number,
): Promise<Alert[]> {
  const isQuiet = sql`${alerts.toldAt} > now() - ${cooldownMs} * interval '1 millisecond'`;
  return await db
    .update(alerts)
    .set({
      told: sql`${alerts.state}`,
      toldAt: sql`now()`,
      messageId: sql`gen_random_uuid()`,
      pending: [...sinks],
      tries: 0,
      sendingUntil: null,
    })
    .where(
      sql`(${alerts.state} = 'firing' and (${alerts.told} is null
          or ((${alerts.told} = 'resolved' or ${alerts.tries} >= ${mostTries}) and not ${isQuiet})))
        or (${alerts.state} = 'resolved' and ${alerts.told} = 'firing')`,
    )
    .returning();
}

/**
 * Messages that some sink has not taken yet, for whoever asks alone: each counts as one more try. Who dies with them
 * gives them back after a minute.
 */
export async function takeUndelivered(db: Database): Promise<Alert[]> {
  return await db
    .update(alerts)
    .set({
      tries: sql`${alerts.tries} + 1`,
      sendingUntil: sql`now() + interval '1 minute'`,
    })
    .where(
      sql`cardinality(${alerts.pending}) > 0
        and (${alerts.sendingUntil} is null or ${alerts.sendingUntil} < now())`,
    )
    .returning();
}

export async function savePending(
  db: Database,
  { kind, subject, messageId }: Pick<Alert, "kind" | "subject" | "messageId">,
  pending: readonly string[],
): Promise<void> {
  const isSame = messageId === null ? sql`false` : eq(alerts.messageId, messageId);
  await db
    .update(alerts)
    .set({ pending: [...pending], sendingUntil: null })
    .where(and(eq(alerts.kind, kind), eq(alerts.subject, subject), isSame));
}

/** What fires, then what is over, the newest first. */
export function allAlerts(db: Database): Promise<Alert[]> {
  return db
    .select()
    .from(alerts)
    .orderBy(alerts.state, sql`${alerts.seenAt} desc`)
    .limit(1000);
}

/** Notes who has seen an alert that fires; false when it does not. It counts until it fires anew. */
export async function acknowledgeAlert(
  db: Database,
  { kind, subject }: Pick<Alert, "kind" | "subject">,
  by: string,
): Promise<boolean> {
  const done = await db
    .update(alerts)
    .set({ acknowledgedAt: sql`now()`, acknowledgedBy: by })
    .where(and(eq(alerts.kind, kind), eq(alerts.subject, subject), eq(alerts.state, "firing")))
    .returning({ kind: alerts.kind });
  return done.length === 1;
}

/** Whether somebody has seen it since it fires. */
export function isAcknowledged({ acknowledgedAt, firedAt }: Alert): boolean {
  return acknowledgedAt !== null && acknowledgedAt >= firedAt;
}
