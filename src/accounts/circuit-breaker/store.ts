import { and, eq, inArray, isNotNull, isNull, lt, lte, or, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { providerSlots, providerStates } from "#db/schema/accounts.ts";

/** Where a provider stands, for all replicas. Milliseconds are left from now, by the database's clock. */
export type CircuitState = {
  readonly failures: number;
  /** Negative or zero: it may be asked. */
  readonly closedMs: number;
  readonly refusedCode: string | null;
  readonly refusedRegistration: string | null;
};

export async function standingOf(db: Database, provider: string): Promise<CircuitState> {
  const left = sql<number>`coalesce(extract(epoch from ${providerStates.closedUntil} - now()) * 1000, 0)::int`;
  const [row] = await db
    .select({
      failures: providerStates.failures,
      closedMs: left,
      refusedCode: providerStates.refusedCode,
      refusedRegistration: providerStates.refusedRegistration,
    })
    .from(providerStates)
    .where(eq(providerStates.provider, provider));
  return row ?? { failures: 0, closedMs: 0, refusedCode: null, refusedRegistration: null };
}

/** After a break one process asks first; true for that one. */
export async function takeProbe(db: Database, provider: string, seconds: number): Promise<boolean> {
  const taken = await db
    .update(providerStates)
    .set({ probeUntil: sql`now() + ${seconds} * interval '1 second'` })
    .where(
      and(
        eq(providerStates.provider, provider),
        // What the process knew of the break may be old.
        or(isNull(providerStates.closedUntil), lte(providerStates.closedUntil, sql`now()`)),
        or(isNull(providerStates.probeUntil), lt(providerStates.probeUntil, sql`now()`)),
      ),
    )
    .returning({ provider: providerStates.provider });
  return taken.length === 1;
}

/** Whoever had it has asked, or will not. */
export async function releaseProbe(db: Database, provider: string): Promise<void> {
  await db
    .update(providerStates)
    .set({ probeUntil: null })
    .where(and(eq(providerStates.provider, provider), isNotNull(providerStates.probeUntil)));
}

/** The provider answered like one that works. True when it had been closed or had refused us. */
export async function clearStanding(
  db: Database,
  provider: string,
  mostFailures: number,
): Promise<boolean> {
  const hasTrouble = sql`(${providerStates.failures} > 0 or ${providerStates.refusedCode} is not null)`;
  const cleared = await db.execute<{ was_closed: boolean }>(sql`
    with before as (
      select failures, refused_code from ${providerStates} where provider = ${provider} for update)
    update ${providerStates} set failures = 0, closed_until = null, probe_until = null,
      refused_code = null, refused_registration = null
    where provider = ${provider} and ${hasTrouble}
    returning (select failures >= ${mostFailures}::int or refused_code is not null from before) as was_closed`);
  return cleared[0]?.was_closed === true;
}

/** Providers that nobody asks now. */
export function closedProviders(
  db: Database,
): Promise<{ provider: string; refusedCode: string | null }[]> {
  return db
    .select({ provider: providerStates.provider, refusedCode: providerStates.refusedCode })
    .from(providerStates)
    .where(or(isNotNull(providerStates.refusedCode), isNotNull(providerStates.closedUntil)));
}
type FailureRule = {
  /** So many failures in a row close the provider for a while. */
  readonly mostFailures: number;
  readonly firstSeconds: number;
  readonly longestSeconds: number;
  /** The least it is closed for: what the provider asked for. */
  readonly leastSeconds: number;
  /** Around 1. */
  readonly jitter: number;
  /** The account's first failure in a row. One account that always fails is no trouble of the provider's. */
  readonly isFirst: boolean;
};

/** Counts a failure and closes the provider when there were too many: 2 s, 4 s, 8 s … Returns how many there are and were. */
export async function countFailure(
  db: Database,
  provider: string,
  failing: FailureRule,
): Promise<{ readonly failures: number; readonly before: number }> {
  const { mostFailures, firstSeconds, longestSeconds, leastSeconds, jitter, isFirst } = failing;
  const most = sql`${mostFailures}::int`;
  // After a break whoever asks first counts in any case.
  const next = sql`s.failures + case when ${isFirst} or s.failures >= ${most} then 1 else 0 end`;
  const grown = sql`${firstSeconds} * power(2, least(${next} - ${most}, 20))`;
  const pause = sql`greatest(${leastSeconds}::float, least(${longestSeconds}::float, ${grown}) * ${jitter}::float)`;
  // What was on its way when the provider was closed says nothing new.
  const [row] = await db.execute<{ failures: number; before: number }>(sql`
    with earlier as (
      select failures from ${providerStates} where provider = ${provider} for update)
    insert into ${providerStates} as s (provider, failures) values (${provider}, ${Number(isFirst)})
    on conflict (provider) do update set
      failures = case when s.closed_until > now() then s.failures else ${next} end,
      probe_until = null,
      closed_until = case
        when s.closed_until > now() or ${next} < ${most} then s.closed_until
        else now() + ${pause} * interval '1 second' end
    returning failures, coalesce((select failures from earlier), 0) as before`);
  return row ?? { failures: 0, before: 0 };
}

type RefusedApplication = {
  readonly code: string;
  readonly registration: string;
  readonly seconds: number;
};

/** The provider refuses us as an application. True when that is news. */
export async function refuseApplication(
  db: Database,
  provider: string,
  refused: RefusedApplication,
): Promise<boolean> {
  const { code, registration, seconds } = refused;
  const [row] = await db.execute<{ is_news: boolean }>(sql`
    with before as (
      select refused_registration from ${providerStates} where provider = ${provider} for update)
    insert into ${providerStates} as s (provider, refused_code, refused_registration, closed_until)
    values (${provider}, ${code}, ${registration}, now() + ${seconds} * interval '1 second')
    on conflict (provider) do update set refused_code = excluded.refused_code, probe_until = null,
      refused_registration = excluded.refused_registration, closed_until = excluded.closed_until
    returning coalesce((select refused_registration from before), '') <> ${registration} as is_news`);
  return row?.is_news ?? false;
}

/** Makes the slots that a provider lacks. */
export async function makeSlots(db: Database, provider: string, count: number): Promise<void> {
  await db.execute(sql`
    insert into ${providerSlots} (provider, slot)
    select ${provider}, number from generate_series(0, ${count}::int - 1) as number
    on conflict do nothing`);
}

type SlotWish = {
  readonly holder: string;
  readonly seconds: number;
  /** Slots from 0 up to this one may be taken. */
  readonly below: number;
};

/** A place among those who may ask a provider at the same time; undefined when all are taken. */
export async function takeSlot(
  db: Database,
  provider: string,
  wish: SlotWish,
): Promise<number | undefined> {
  const isFree = or(isNull(providerSlots.until), lt(providerSlots.until, sql`now()`));
  const free = db
    .select({ slot: providerSlots.slot })
    .from(providerSlots)
    .where(and(eq(providerSlots.provider, provider), lt(providerSlots.slot, wish.below), isFree))
    .orderBy(sql`${providerSlots.slot} desc`)
    .limit(1)
    .for("update", { skipLocked: true });
  const [row] = await db
    .update(providerSlots)
    .set({ holder: wish.holder, until: sql`now() + ${wish.seconds} * interval '1 second'` })
    .where(and(eq(providerSlots.provider, provider), sql`${providerSlots.slot} = (${free})`))
    .returning({ slot: providerSlots.slot });
  return row?.slot;
}

export async function freeSlot(
  db: Database,
  provider: string,
  held: { readonly slot: number; readonly holder: string },
): Promise<void> {
  await db
    .update(providerSlots)
    .set({ until: null })
    .where(
      and(
        eq(providerSlots.provider, provider),
        eq(providerSlots.slot, held.slot),
        eq(providerSlots.holder, held.holder),
      ),
    );
}

/** Slots of processes that are gone. */
export async function freeSlots(db: Database, holders: readonly string[]): Promise<void> {
  await db
    .update(providerSlots)
    .set({ until: null })
    .where(inArray(providerSlots.holder, [...holders]));
}
