import { and, count, eq, gt, inArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { providerStates } from "#db/schema/accounts.ts";
import { calls } from "#db/schema/calls.ts";
import { events } from "#db/schema/operations.ts";
import { outcomeOf } from "#src/proxy/health.ts";
import { callerColumn, callsLately, credentialOutages } from "#src/proxy/call-store.ts";
import type { Condition } from "./condition-store.ts";

const recently = sql`now() - interval '5 minutes'`;
const leastTimes = 3;
const kinds: Readonly<Record<number, string>> = {
  502: "upstream_unreachable",
  504: "upstream_timeout",
};

/** Three calls within five minutes that ended with 502, or with 504, of ours or of the upstream's own. */
export async function callsBroken(db: Database): Promise<Condition[]> {
  const { upstream: subject, status } = calls;
  const rows = await db
    .select({ subject, status, times: count() })
    .from(calls)
    .where(and(inArray(status, [502, 504]), gt(calls.at, recently)))
    .groupBy(subject, status)
    .having(sql`count(*) >= ${leastTimes}`);
  return rows.map(({ subject: upstream, status: ended, times }) => ({
    kind: kinds[ended] ?? "upstream_unreachable",
    subject: upstream,
    summary: `${times} calls to ${upstream} ended with ${ended} within five minutes`,
  }));
}

/** More than half of at least ten calls of at least two agents failed within five minutes: health says `fail`. */
export async function upstreamsFailing(db: Database): Promise<Condition[]> {
  const failing = (await callsLately(db)).filter((row) => outcomeOf(row).state === "failing");
  return failing.map(({ upstream, calls: all, failed, code }) => ({
    kind: "upstream_failing",
    subject: upstream,
    summary: `${failed} of ${all} calls to ${upstream} failed within five minutes (${code ?? "unknown"})`,
  }));
}

/** An upstream that answers 401 to whoever calls, three times within five minutes, and for at least two accounts. */
export async function credentialsRefused(db: Database): Promise<Condition[]> {
  const isOurs = sql`coalesce(${calls.failure} in ${credentialOutages}, false)`;
  const isRefused = sql`${calls.upstreamStatus} = 401 and not ${isOurs}`;
  const rows = await db
    .select({
      subject: calls.upstream,
      times: sql<number>`(count(*) filter (where ${isRefused}))::int`,
    })
    .from(calls)
    .where(gt(calls.at, recently))
    .groupBy(calls.upstream)
    .having(
      sql`count(*) filter (where ${isRefused}) >= ${leastTimes}
        and count(distinct ${callerColumn}) filter (where ${isRefused}) >= 2
        and count(*) filter (where ${calls.upstreamStatus} < 400) = 0`,
    );
  return rows.map(({ subject, times }) => ({
    kind: "upstream_refuses_credential",
    subject,
    summary: `${subject} has refused every credential within five minutes (${times} calls)`,
  }));
}

/** Providers that nobody asks for a while, because they failed again and again. */
export async function providersClosed(db: Database): Promise<Condition[]> {
  const rows = await db
    .select({ subject: providerStates.provider })
    .from(providerStates)
    .where(gt(providerStates.closedUntil, sql`now()`));
  return rows.map(({ subject }) => ({
    kind: "provider_closed",
    subject,
    summary: `${subject} fails again and again; it is asked again in a while, and nothing is refreshed until then`,
  }));
}

/** Gateways that could not write their journal within the last minute. */
export async function journalsUnavailable(db: Database): Promise<Condition[]> {
  const since = sql`now() - interval '1 minute'`;
  const [row] = await db
    .select({ hosts: sql<string | null>`string_agg(distinct ${events.subject}, ', ')` })
    .from(events)
    .where(and(eq(events.name, "journal_unavailable"), gt(events.at, since)));
  const hosts = row?.hosts;
  if (hosts === null || hosts === undefined) return [];
  const summary = `Gateways cannot write their journal, and refresh nothing, at ${hosts.slice(0, 200)}`;
  return [{ kind: "journal_unavailable", subject: "journal", summary }];
}
