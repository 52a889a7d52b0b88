import { and, eq, gte, inArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { callCounts, calls } from "#db/schema/calls.ts";
import { outcomeConditions } from "./call-outcome-store.ts";

/** Upper ends of the columns that durations are counted in, in milliseconds; the last column has none. */
export const durationBounds = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] as const;
const columns = durationBounds.length + 1;

const durationColumn = sql.raw(`width_bucket(duration_ms, array[${durationBounds.join(",")}])`);
const durationCounts = sql.raw(
  `array[${Array.from({ length: columns }, (_, at) => `coalesce(sum(n) filter (where took = ${at}), 0)`).join(",")}]::int[]`,
);

const callerKey = sql.raw(
  `case when grant_id is not null then 'grant:' || grant_id when session_id is not null then 'session:' || session_id
    else coalesce('agent:' || agent_id, '') end`,
);

/**
 * Counts rows of `calls` that have just been stored: for each upstream by minute and by hour, for each agent and
 * account by day. Others wait for the rows of this moment until the transaction ends: it is the last thing in it.
 */
export async function countCalls(
  transaction: Pick<Database, "execute">,
  ids: readonly string[],
): Promise<void> {
  await transaction.execute(sql`
    insert into ${callCounts} as c (span, slot, upstream, caller, account, guard, calls, failed, durations)
    select span, date_trunc(span, minute, 'UTC') as slot, upstream, case when span = 'day' then caller else '' end as by_caller,
      case when span = 'day' then account else '' end as of_account, guard, sum(n), coalesce(sum(n) filter (where is_failed), 0), ${durationCounts}
    from (
      select date_trunc('minute', at, 'UTC') as minute, upstream, ${callerKey} as caller, coalesce(account_id::text, '') as account,
        case when guard like 'approved%' then '' else coalesce(guard, '') end as guard,
        ${outcomeConditions.failed} as is_failed, case when http_method <> 'GET' then ${durationColumn} end as took, count(*) as n
      from ${calls} where id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb)::uuid)
      group by 1, 2, 3, 4, 5, 6, 7) alike
    cross join (values ('minute'), ('hour'), ('day')) as s(span)
    group by 1, 2, 3, 4, 5, 6
    order by 1, 2, 3, 4, 5, 6
    on conflict (span, slot, upstream, caller, account, guard) do update set
      calls = c.calls + excluded.calls, failed = c.failed + excluded.failed,
      durations = array(select a + b from unnest(c.durations, excluded.durations) as d(a, b))`);
}

/** Calls of one stretch of time. */
export type Count = {
  readonly slot: Date;
  readonly calls: number;
  readonly failed: number;
  readonly refused: number;
  /** By `durationBounds`, of what was let through. */
  readonly durations: readonly number[];
};

/** How a chart is made: from which counts, since when, in stretches of how many seconds. */
export type Window = {
  readonly span: "minute" | "hour";
  readonly since: Date;
  readonly stretchSeconds: number;
};

/** Counts of all upstreams together, the oldest first; stretches without a call are not among them. */
export async function countsSince(
  db: Database,
  { span, since, stretchSeconds }: Window,
): Promise<readonly Count[]> {
  const sums = sql.raw(
    Array.from(
      { length: columns },
      (_, at) => `coalesce(sum(durations[${at + 1}]) filter (where guard = ''), 0)`,
    ).join(","),
  );
  const rows = await db.execute<{
    slot: number;
    calls: number;
    failed: number;
    refused: number;
    durations: string;
  }>(sql`
    select (floor(extract(epoch from slot) / ${stretchSeconds}::int) * ${stretchSeconds}::int)::float8 as slot,
      sum(calls)::float8 as calls, sum(failed)::float8 as failed,
      coalesce(sum(calls) filter (where guard <> ''), 0)::float8 as refused, array_to_string(array[${sums}], ',') as durations
    from ${callCounts} where span = ${span} and slot >= ${since.toISOString()}::timestamptz
    group by 1 order by 1`);
  return rows.map(({ slot, calls, failed, refused, durations }) => ({
    slot: new Date(slot * 1000),
    calls,
    failed,
    refused,
    durations: durations.split(",").map(Number),
  }));
}

/** How many calls each guard has refused since then, the most frequent first. */
export async function refusalsSince(
  db: Database,
  { span, since }: Pick<Window, "span" | "since">,
): Promise<readonly { readonly guard: string; readonly calls: number }[]> {
  return await db.execute<{ guard: string; calls: number }>(sql`
    select guard, sum(calls)::float8 as calls from ${callCounts}
    where span = ${span} and slot >= ${since.toISOString()}::timestamptz and guard <> ''
    group by guard order by 2 desc, 1 limit 20`);
}

/** Calls of each upstream since then. */
export async function upstreamCountsSince(
  db: Database,
  { span, since }: Pick<Window, "span" | "since">,
): Promise<
  readonly {
    readonly upstream: string;
    readonly calls: number;
    readonly failed: number;
    readonly refused: number;
  }[]
> {
  return await db.execute<{ upstream: string; calls: number; failed: number; refused: number }>(sql`
    select upstream, sum(calls)::float8 as calls, sum(failed)::float8 as failed,
      coalesce(sum(calls) filter (where guard <> ''), 0)::float8 as refused
    from ${callCounts} where span = ${span} and slot >= ${since.toISOString()}::timestamptz
    group by upstream order by upstream limit 200`);
}

/** Calls of one agent, or on one account, in a day (UTC). */
export type DayCount = {
  readonly caller: string;
  readonly account: string;
  readonly day: Date;
  readonly calls: number;
  readonly refused: number;
};

/** Of these agents, whose calls a person has allowed, since a day. */
export function dayCounts(
  db: Database,
  { callers, since }: { readonly callers: readonly string[]; readonly since: Date },
): Promise<readonly DayCount[]> {
  if (callers.length === 0) return Promise.resolve([]);
  const { caller, account, slot, guard } = callCounts;
  return db
    .select({
      caller,
      account,
      day: slot,
      calls: sql<number>`sum(${callCounts.calls})::float8`,
      refused: sql<number>`coalesce(sum(${callCounts.calls}) filter (where ${guard} <> ''), 0)::float8`,
    })
    .from(callCounts)
    .where(and(eq(callCounts.span, "day"), inArray(caller, [...callers]), gte(slot, since)))
    .groupBy(caller, account, slot)
    .orderBy(slot);
}

/**
 * The duration that so large a part of the calls did not exceed, in milliseconds; undefined where there were none, and
 * infinite beyond the last bound.
 */
export function durationAt(durations: readonly number[], part: number): number | undefined {
  const all = durations.reduce((sum, each) => sum + each, 0);
  if (all === 0) return undefined;
  let seen = 0;
  for (const [at, count] of durations.entries()) {
    seen += count;
    if (seen >= all * part) return durationBounds[at] ?? Number.POSITIVE_INFINITY;
  }
  return Number.POSITIVE_INFINITY;
}
