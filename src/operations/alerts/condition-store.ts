import { and, eq, gt, inArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts, providerStates, refreshEvents } from "#db/schema/accounts.ts";
import { events, tasks } from "#db/schema/operations.ts";

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

/** Endpoints of an API that within the last day answered as if they were gone, or said that they will be. */
export async function endpointsChanged(db: Database): Promise<Condition[]> {
  const rows = await db
    .selectDistinct({ name: events.name, subject: events.subject })
    .from(events)
    .where(
      and(
        inArray(events.name, ["endpoint_gone", "endpoint_deprecated"]),
        gt(events.at, sql`now() - interval '1 day'`),
      ),
    );
  return rows.map(({ name, subject }) =>
    name === "endpoint_gone"
      ? {
          kind: "endpoint_gone",
          subject,
          summary: `${subject} answers as if it were gone; tools that use it fail: update smartdash`,
        }
      : {
          kind: "endpoint_deprecated",
          subject,
          summary: `${subject} says that it will go; tools that use it work still: update smartdash`,
        },
  );
}

const certificateDays = 14;

/** As the last look at PUBLIC_URL found it; see `certificate-probe.ts`. */
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
