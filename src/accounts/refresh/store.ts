import { type SQL, and, eq, inArray, isNotNull, isNull, lt, lte, ne, or, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import type { Version } from "../journal/answers.ts";
import {
  type NewCredential,
  type ReadAccount,
  openAttemptCount,
  readColumns,
  untroubled,
} from "../store.ts";

/** Who is about to ask the provider, for how long nobody else may, and where the answer will be kept. */
export type Lease = {
  readonly holder: string;
  readonly journal: string;
  readonly seconds: number;
};

/** A generation is asked for so often without any answer; then a person has to connect the account again. */
export const mostOpenAttempts = 2;
/** How long a gateway that died with an open attempt may take to come back with its journal. */
const comeBackSeconds = 60;

/** Nobody holds the lease. */
export const isFree = or(isNull(accounts.leaseUntil), lt(accounts.leaseUntil, sql`now()`));

/** Nobody is asking, and no other journal may hold the answer to an open attempt. */
function mayAsk({ journal }: Pick<Lease, "journal">): SQL | undefined {
  const isOurs = or(sql`${openAttemptCount} = 0`, eq(accounts.intentJournal, journal));
  const waited = sql`coalesce(${accounts.leaseUntil}, '-infinity') < now() - ${comeBackSeconds} * interval '1 second'`;
  return and(isFree, or(isOurs, isNull(accounts.intentJournal), waited));
}

/** The attempt is in the row before the provider is asked, in the statement that takes the lease. */
function leased({ holder, journal, seconds }: Lease) {
  return {
    leaseHolder: holder,
    leaseUntil: sql`now() + ${seconds} * interval '1 second'`,
    intents: sql`${openAttemptCount} + 1`,
    intentGeneration: sql`${accounts.generation}`,
    intentJournal: journal,
    state: sql`case when ${openAttemptCount} > 0 and ${accounts.state} = 'active' then 'ambiguous' else ${accounts.state} end`,
  };
}

const askable = inArray(accounts.state, ["active", "ambiguous", "revoking"]);

/**
 * Takes the right to refresh one generation, until `seconds` from now by the database's clock.
 * Undefined when another process holds it, may hold its answer, or the generation is no longer current.
 */
export async function leaseRefresh(
  db: Database,
  version: Version,
  lease: Lease,
): Promise<ReadAccount | undefined> {
  const isOpen = and(askable, lt(openAttemptCount, mostOpenAttempts));
  const [row] = await db
    .update(accounts)
    .set(leased(lease))
    .where(and(isCurrent(version), isOpen, mayAsk(lease)))
    .returning(readColumns);
  return row;
}

/** The same for whichever account of a provider is due; replicas that do this at once get different ones. */
export async function leaseDue(
  db: Database,
  provider: string,
  lease: Lease,
): Promise<ReadAccount | undefined> {
  const next = db
    .select({ id: accounts.id })
    .from(accounts)
    .where(and(eq(accounts.provider, provider), isDue, mayAsk(lease)))
    .orderBy(accounts.refreshFrom)
    .limit(1)
    .for("update", { skipLocked: true });
  const [row] = await db
    .update(accounts)
    .set(leased(lease))
    .where(sql`${accounts.id} = (${next})`)
    .returning(readColumns);
  return row;
}

/**
 * Accounts whose access token has ended and which came without a refresh token need their person; of one account, or
 * of all. Returns how many.
 */
export async function endUnrenewable(db: Database, id?: string): Promise<number> {
  const ended = await db
    .update(accounts)
    .set({ ...untroubled, state: "reconnect_required", lastError: "no_refresh_token" })
    .where(
      and(
        id === undefined ? undefined : eq(accounts.id, id),
        eq(accounts.kind, "oauth"),
        isNull(accounts.refreshToken),
        inArray(accounts.state, ["active", "ambiguous"]),
        lte(accounts.accessExpiresAt, sql`now()`),
      ),
    )
    .returning({ id: accounts.id });
  return ended.length;
}

/** A binary before crash-safe rotation leaves `refresh_from` as it was, or empty: then it is early once more. */
const isDue = and(
  inArray(accounts.state, ["active", "ambiguous"]),
  eq(accounts.kind, "oauth"),
  isNotNull(accounts.refreshToken),
  lt(openAttemptCount, mostOpenAttempts),
  or(
    lte(accounts.refreshFrom, sql`now()`),
    and(isNull(accounts.refreshFrom), lt(accounts.accessExpiresAt, sql`now()`)),
  ),
  or(isNull(accounts.retryAt), lte(accounts.retryAt, sql`now()`)),
);

/** How many accounts are due, by provider. */
export function dueProviders(db: Database): Promise<{ provider: string; due: number }[]> {
  return db
    .select({ provider: accounts.provider, due: sql<number>`count(*)::int` })
    .from(accounts)
    .where(and(isDue, isFree))
    .groupBy(accounts.provider);
}

/** Gives a lease back whose provider was never asked; earlier attempts of others have had their time. */
export async function returnLease(db: Database, version: Version, holder: string): Promise<void> {
  await db
    .update(accounts)
    .set({
      leaseHolder: null,
      leaseUntil: null,
      intents: sql`greatest(${openAttemptCount} - 1, 0)`,
      intentJournal: null,
    })
    .where(and(isCurrent(version), eq(accounts.leaseHolder, holder)));
}

/** What is being taken back at its provider stays that, and how long it has been tried. */
const unlessRevoking = {
  state: sql`case when ${accounts.state} = 'revoking' then 'revoking' else 'active' end`,
  failures: sql`case when ${accounts.state} = 'revoking' then ${accounts.failures} else 0 end`,
  failingSince: sql`case when ${accounts.state} = 'revoking' then ${accounts.failingSince} end`,
} as const;

/**
 * Stores what a refresh brought, if nobody stored a newer generation meanwhile. Whoever has the provider's
 * newest answer may store it, even after its lease ran out or into a database that was restored from an
 * older backup: dropping it would lose the grant.
 */
export async function saveRefreshed(
  db: Database,
  version: Version,
  credential: NewCredential,
): Promise<ReadAccount | undefined> {
  const isNotNewer = and(
    eq(accounts.id, version.id),
    lte(accounts.generation, version.generation),
    ne(accounts.state, "revoked"),
  );
  const [row] = await db
    .update(accounts)
    .set({
      ...credential,
      ...untroubled,
      ...unlessRevoking,
      generation: version.generation + 1,
    })
    .where(isNotNewer)
    .returning(readColumns);
  return row;
}

/** The provider ended this generation. False when it is no longer the current one. */
export async function requireReconnect(
  db: Database,
  version: Version,
  code: string,
): Promise<boolean> {
  const isLive = inArray(accounts.state, ["active", "ambiguous"]);
  const marked = await db
    .update(accounts)
    .set({ ...untroubled, state: "reconnect_required", lastError: code })
    .where(and(isCurrent(version), isLive))
    .returning({ id: accounts.id });
  return marked.length === 1;
}

type Trouble = {
  readonly code: string;
  readonly waitMs: number;
  readonly holder: string;
  /** From now on it is tried at a slow pace. */
  readonly isExhausted: boolean;
};

/** The refresh brought nothing; it may be tried again after a while. Another holder's lease is left alone. */
export async function postponeRefresh(
  db: Database,
  version: Version,
  trouble: Trouble,
): Promise<void> {
  await db
    .update(accounts)
    .set({
      leaseHolder: null,
      leaseUntil: null,
      intents: 0,
      intentJournal: null,
      failures: sql`${accounts.failures} + 1`,
      failingSince: sql`coalesce(${accounts.failingSince}, now())`,
      retryAt: sql`now() + ${trouble.waitMs} * interval '1 millisecond'`,
      lastError: trouble.code,
      updatedAt: sql`now()`,
      ...(trouble.isExhausted
        ? { exhaustedAt: sql`coalesce(${accounts.exhaustedAt}, now())` }
        : {}),
    })
    .where(and(isCurrent(version), eq(accounts.leaseHolder, trouble.holder)));
}

/** Nobody answered twice: it is not asked a third time. True when this was the call that ended it. */
export async function abandonUnanswered(
  db: Database,
  version: Version,
  journal: string,
): Promise<boolean> {
  const ended = await db
    .update(accounts)
    .set({
      ...untroubled,
      state: "reconnect_required",
      lastError: sql`case when ${accounts.lastError} = 'restored' then 'restored' else 'unanswered' end`,
    })
    .where(
      and(
        isCurrent(version),
        inArray(accounts.state, ["active", "ambiguous"]),
        sql`${openAttemptCount} >= ${mostOpenAttempts}`,
        mayAsk({ journal }),
      ),
    )
    .returning({ id: accounts.id });
  return ended.length === 1;
}

export function isCurrent(version: Version) {
  return and(eq(accounts.id, version.id), eq(accounts.generation, version.generation));
}
