import { type SQL, eq, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts, refreshEvents } from "#db/schema/accounts.ts";
import {
  agents,
  authorizationCodes,
  deviceCodes,
  endings,
  grants,
  refreshTokens,
  sessions,
  signingKeys,
  usedAssertions,
} from "#db/schema/agents.ts";
import { callBatches, callCounts, calls } from "#db/schema/calls.ts";
import { discoveredPeers } from "#db/schema/edge.ts";
import { approvals, reviewKeys, tallies, toolPolicies } from "#db/schema/guards.ts";
import {
  alerts,
  events,
  operatorActions,
  toolWrites,
  replicas,
  switches,
} from "#db/schema/operations.ts";
import { connectAttempts, invites, people, signIns } from "#db/schema/people.ts";
import { isExpired } from "#src/oauth-server/clients/store.ts";
import { keepPreviousHours } from "#src/oauth-server/tokens/store.ts";

/** How long traces are kept. Days. */
type Retention = {
  readonly callsDays: number;
  readonly eventsDays: number;
  readonly revokedDays: number;
};

/** Rows that nobody needs any more. */
export type Leftover = {
  readonly name: string;
  readonly table: Parameters<Database["delete"]>[0];
  /** By the database's clock. */
  readonly isOver: (keep: Retention) => SQL;
  /** Also removed by running gateways, every few minutes. */
  readonly isShortLived?: true;
};

const before = (moment: SQL | object, age: string): SQL =>
  sql`${moment} < now() - ${age}::text::interval`;
const days = (count: number) => `${count} days`;

/** In this order: what others rest on goes last. Deleting a row deletes what belongs to it. */
export const leftovers: readonly Leftover[] = [
  {
    name: "connect_attempts",
    table: connectAttempts,
    // They end by themselves; an hour later nobody needs to be told so any more.
    isOver: () => before(connectAttempts.expiresAt, "1 hour"),
    isShortLived: true,
  },
  {
    name: "sign_ins",
    table: signIns,
    isOver: () => before(signIns.expiresAt, "0 s"),
    isShortLived: true,
  },
  {
    name: "invites",
    table: invites,
    isOver: () => before(invites.expiresAt, days(30)),
    isShortLived: true,
  },
  {
    name: "authorization_codes",
    table: authorizationCodes,
    isOver: () => before(authorizationCodes.expiresAt, days(1)),
    isShortLived: true,
  },
  {
    name: "device_codes",
    table: deviceCodes,
    isOver: () => before(deviceCodes.expiresAt, days(1)),
    isShortLived: true,
  },
  {
    name: "refresh_tokens",
    table: refreshTokens,
    isOver: () => before(refreshTokens.expiresAt, days(1)),
    isShortLived: true,
  },
  {
    name: "grants_not_begun",
    table: grants,
    isOver: () => sql`${grants.activatedAt} is null and ${before(grants.createdAt, days(1))}`,
    isShortLived: true,
  },
  {
    name: "used_assertions",
    table: usedAssertions,
    isOver: () => before(usedAssertions.expiresAt, "0 s"),
    isShortLived: true,
  },
  {
    name: "signing_keys",
    table: signingKeys,
    isOver: () =>
      sql`${signingKeys.state} = 'previous' and ${before(signingKeys.replacedAt, `${2 * keepPreviousHours} hours`)}`,
    isShortLived: true,
  },
  {
    name: "endings",
    table: endings,
    // Longer than any access token lives: a revocation is what ends a token of an agent's own.
    isOver: () => before(endings.at, "2 hours"),
    isShortLived: true,
  },
  {
    name: "replicas",
    table: replicas,
    // Of gateways that were killed; who stops in order takes its row along.
    isOver: () => before(replicas.seenAt, "1 hour"),
    isShortLived: true,
  },
  {
    name: "unused_registrations",
    table: agents,
    isOver: () => isExpired,
    isShortLived: true,
  },
  {
    name: "sightings",
    table: discoveredPeers,
    isOver: () => before(discoveredPeers.expiresAt, "1 hour"),
    isShortLived: true,
  },
  {
    name: "tallies",
    table: tallies,
    isOver: () => before(tallies.expiresAt, "0 s"),
    isShortLived: true,
  },
  {
    name: "review_keys",
    table: reviewKeys,
    isOver: () => before(reviewKeys.expiresAt, "0 s"),
    isShortLived: true,
  },
  {
    name: "approvals",
    table: approvals,
    isOver: ({ eventsDays }) => before(approvals.expiresAt, days(eventsDays)),
  },
  {
    name: "stopped_agents",
    table: switches,
    // Of what cannot call any more; a permission that is given again is stopped like the one before.
    isOver: () => sql`${switches.by} = 'guard' and not exists (
      select 1 from ${grants} g where 'grant:' || g.policy_id = ${switches.subject})
      and not exists (select 1 from ${sessions} s where 'session:' || s.id = ${switches.subject}
        and s.ended_at is null and s.expires_at > now())
      and not exists (select 1 from ${agents} a where 'agent:' || a.id = ${switches.subject})`,
    isShortLived: true,
  },
  {
    name: "approvals_of_nobody",
    table: approvals,
    isOver: () => sql`${approvals.caller} like 'grant:%' and not exists (
      select 1 from ${grants} g where 'grant:' || g.policy_id = ${approvals.caller} and g.ended_at is null)`,
  },
  {
    name: "tool_policies",
    table: toolPolicies,
    // Those of permissions and sessions that are gone; an agent of the operator may come back.
    isOver: () =>
      sql`(${toolPolicies.subject} like 'grant:%' and not exists (
          select 1 from ${grants} g where 'grant:' || g.policy_id = ${toolPolicies.subject}))
        or (${toolPolicies.subject} like 'narrowed:%' and not exists (
          select 1 from ${grants} g where 'narrowed:' || g.policy_id = ${toolPolicies.subject}))
        or (${toolPolicies.subject} like 'session:%' and not exists (
          select 1 from ${sessions} s where 'session:' || s.id = ${toolPolicies.subject}))`,
  },
  {
    name: "sessions",
    table: sessions,
    isOver: ({ eventsDays }) =>
      sql`${before(sql`least(${sessions.expiresAt}, ${sessions.endedAt})`, days(eventsDays))}`,
  },
  {
    name: "grants",
    table: grants,
    isOver: ({ eventsDays }) => before(grants.endedAt, days(eventsDays)),
  },
  {
    name: "dead_registrations",
    table: agents,
    // Nobody allows it anything any more, and the trace of what it was allowed is gone too.
    isOver: ({ eventsDays }) =>
      sql`${agents.kind} = 'dynamic' and ${before(agents.usedAt, days(eventsDays + 30))}
        and not exists (select 1 from ${grants} g where g.client_id = ${agents.clientId})`,
  },
  {
    name: "refresh_events",
    table: refreshEvents,
    isOver: ({ eventsDays }) => before(refreshEvents.at, days(eventsDays)),
  },
  {
    name: "revoked_accounts",
    table: accounts,
    isOver: ({ revokedDays }) =>
      sql`${eq(accounts.state, "revoked")} and ${before(accounts.updatedAt, days(revokedDays))}`,
  },
  {
    name: "tool_writes",
    table: toolWrites,
    isOver: () => before(toolWrites.at, "1 day"),
    isShortLived: true,
  },
  {
    name: "calls",
    table: calls,
    isOver: ({ callsDays }) => before(calls.at, days(callsDays)),
  },
  {
    name: "call_counts",
    table: callCounts,
    isOver: ({
      callsDays,
    }) => sql`(${callCounts.span} = 'minute' and ${before(callCounts.slot, "26 hours")})
      or (${callCounts.span} = 'hour' and ${before(callCounts.slot, days(40))})
      or (${callCounts.span} = 'day' and ${before(callCounts.slot, days(callsDays))})`,
    isShortLived: true,
  },
  {
    name: "call_batches",
    table: callBatches,
    // A batch may hold calls of the day before it: the proof of a day goes after its last call.
    isOver: ({ callsDays }) => before(callBatches.at, days(callsDays + 2)),
  },
  {
    name: "people_without_anything",
    table: people,
    isOver: () => sql`${before(people.createdAt, days(30))}
      and not exists (select 1 from ${accounts} a where a.person_id = ${people.id})
      and not exists (select 1 from ${calls} c where c.person_id = ${people.id})
      and not exists (select 1 from ${signIns} s where s.person_id = ${people.id})`,
  },
  {
    name: "events",
    table: events,
    isOver: ({ eventsDays }) => before(events.at, days(eventsDays)),
  },
  {
    name: "operator_actions",
    table: operatorActions,
    isOver: ({ callsDays }) => before(operatorActions.at, days(callsDays)),
  },
  {
    name: "alerts",
    table: alerts,
    isOver: ({ eventsDays }) =>
      sql`${eq(alerts.state, "resolved")} and ${before(alerts.seenAt, days(eventsDays))}`,
  },
];

/** Removes so many at most, passing over rows that somebody is working on. Says how many. */
export async function removeSome(
  db: Database,
  { table, isOver }: Leftover,
  { keep, most }: { readonly keep: Retention; readonly most: number },
): Promise<number> {
  const removed = await db.execute(sql`
    delete from ${table} where ctid = any(array(
      select ctid from ${table} where ${isOver(keep)} limit ${most} for update skip locked))
    returning 1`);
  return removed.length;
}

export async function countLeft(
  db: Database,
  { table, isOver }: Leftover,
  keep: Retention,
): Promise<number> {
  const [row] = await db.execute<{ count: number }>(
    sql`select count(*)::int as count from ${table} where ${isOver(keep)}`,
  );
  return row?.count ?? 0;
}
