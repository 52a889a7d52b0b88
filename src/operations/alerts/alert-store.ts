import { and, eq, gt, inArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts, providerStates, refreshEvents } from "#db/schema/accounts.ts";
import { alerts, events, tasks } from "#db/schema/operations.ts";

/** Something that is wrong now. `subject` names a provider, an upstream or a client, never an account. */
export type Condition = {
  readonly kind: string;
  readonly subject: string;
  readonly summary: string;
};

const recently = sql`now() - interval '5 minutes'`;
const leastTimes = 3;

/** Three refreshes that failed within five minutes. */
export async function refreshesFailing(db: Database): Promise<Condition[]> {
  const rows = await db
    .select({ subject: accounts.provider, count: sql<number>`count(*)::int` })
    .from(refreshEvents)
    .innerJoin(accounts, eq(accounts.id, refreshEvents.accountId))
    .where(and(eq(refreshEvents.event, "refresh_fail"), gt(refreshEvents.at, recently)))
    .groupBy(accounts.provider)
    .having(sql`count(*) >= ${leastTimes}`);
  return rows.map(({ subject, count }) => ({
    kind: "refresh_failing",
    subject,
    summary: `${count} refreshes at ${subject} failed within five minutes`,
  }));
}

/** Accounts that a provider ended within the last day. */
export async function accountsLost(db: Database): Promise<Condition[]> {
  const rows = await db
    .select({ subject: accounts.provider, count: sql<number>`count(*)::int` })
    .from(accounts)
    .where(
      and(
        eq(accounts.state, "reconnect_required"),
        gt(accounts.updatedAt, sql`now() - interval '1 day'`),
      ),
    )
    .groupBy(accounts.provider);
  return rows.map(({ subject, count }) => ({
    kind: "invalid_grant",
    subject,
    summary: `${count} accounts at ${subject} have to be connected again by their people`,
  }));
}

export async function applicationsRefused(db: Database): Promise<Condition[]> {
  const rows = await db
    .select({ subject: providerStates.provider, code: providerStates.refusedCode })
    .from(providerStates)
    .where(sql`${providerStates.refusedCode} is not null`);
  return rows.map(({ subject, code }) => ({
    kind: "application_refused",
    subject,
    summary: `${subject} refuses this gateway as an application (${code ?? ""}); nothing is refreshed there`,
  }));
}

/** Refresh tokens that end within seven days although they should have been renewed long before. */
export async function tokensLapsing(db: Database): Promise<Condition[]> {
  const rows = await db
    .select({ subject: accounts.provider, count: sql<number>`count(*)::int` })
    .from(accounts)
    .where(
      and(
        inArray(accounts.state, ["active", "ambiguous"]),
        sql`${accounts.refreshExpiresAt} < now() + interval '7 days'`,
      ),
    )
    .groupBy(accounts.provider);
  return rows.map(({ subject, count }) => ({
    kind: "refresh_token_lapses",
    subject,
    summary: `${count} refresh tokens at ${subject} end within seven days`,
  }));
}

/** Well-known clients whose metadata document has changed within the last day. */
export async function documentsDrifted(db: Database): Promise<Condition[]> {
  const rows = await db
    .selectDistinct({ subject: events.subject })
    .from(events)
    .where(
      and(eq(events.name, "client_document_drifted"), gt(events.at, sql`now() - interval '1 day'`)),
    );
  return rows.map(({ subject }) => ({
    kind: "client_document_drifted",
    subject,
    summary: `${subject} has changed its metadata document; it works, but update smartdash`,
  }));
}

/** Endpoints of an API that answered within the last day as if they were gone. */
export async function endpointsGone(db: Database): Promise<Condition[]> {
  const rows = await db
    .selectDistinct({ subject: events.subject })
    .from(events)
    .where(and(eq(events.name, "endpoint_gone"), gt(events.at, sql`now() - interval '1 day'`)));
  return rows.map(({ subject }) => ({
    kind: "endpoint_gone",
    subject,
    summary: `${subject} answers as if it were gone; tools that use it fail: update smartdash`,
  }));
}

const certificateDays = 14;

/** As the last look at PUBLIC_URL found it; see `certificate.ts`. */
export async function certificateEnding(db: Database): Promise<Condition[]> {
  const [row] = await db
    .select({ outcome: tasks.outcome })
    .from(tasks)
    .where(eq(tasks.name, "certificate"));
  const days = row?.outcome?.["daysLeft"];
  if (days === undefined || days > certificateDays) return [];
  const summary = `The certificate of PUBLIC_URL ends in ${Math.floor(days)} days`;
  return [{ kind: "certificate_expiry", subject: "PUBLIC_URL", summary }];
}

const signingKeyDays = 210;

export async function signingKeyOld(db: Database): Promise<Condition[]> {
  const [row] = await db.execute<{ days: number }>(sql`
    select extract(epoch from now() - max(created_at))::float8 / 86400 as days from signing_keys
    where state = 'current'`);
  if ((row?.days ?? 0) < signingKeyDays) return [];
  const summary = "The key that signs access tokens is seven months old: smartdash keys rotate";
  return [{ kind: "signing_key_old", subject: "signing_keys", summary }];
}

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
        fired_at = case when a.state = 'firing' then a.fired_at else now() end`);
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
