import { and, asc, desc, eq, isNull, lt, ne, or, sql } from "drizzle-orm";
import { endGrantsWhere, recordEndings } from "#db/endings.ts";
import type { Database } from "#db/open.ts";
import { accounts, refreshEvents } from "#db/schema/accounts.ts";
import { grants, sessions } from "#db/schema/agents.ts";

export type Account = typeof accounts.$inferSelect;
export type NewAccount = Pick<
  Account,
  "id" | "personId" | "provider" | "sellerId" | "kind" | "accessToken" | "refreshToken"
> &
  Details;
type Details = Pick<Account, "label" | "site" | "scope" | "accessExpiresAt" | "refreshExpiresAt">;

/** What replaces an account's credential; every replacement is a new generation. */
export type NewCredential = Pick<
  Account,
  "accessToken" | "refreshToken" | "accessExpiresAt" | "refreshExpiresAt"
> &
  Partial<Pick<Account, "scope" | "kind" | "label">>;

export async function accountById(db: Database, id: string): Promise<Account | undefined> {
  const [row] = await db.select().from(accounts).where(eq(accounts.id, id));
  return row;
}

/** The one account of a seller that is not revoked. */
export async function liveAccount(
  db: Database,
  seller: { provider: string; sellerId: string },
): Promise<Account | undefined> {
  const [row] = await db
    .select()
    .from(accounts)
    .where(
      and(
        eq(accounts.provider, seller.provider),
        eq(accounts.sellerId, seller.sellerId),
        ne(accounts.state, "revoked"),
      ),
    );
  return row;
}

/** The accounts that were connected last. */
export function liveAccounts(db: Database, most: number): Promise<Account[]> {
  return db
    .select()
    .from(accounts)
    .where(ne(accounts.state, "revoked"))
    .orderBy(desc(accounts.createdAt))
    .limit(most);
}

export function accountsOf(db: Database, personId: string): Promise<Account[]> {
  return db
    .select()
    .from(accounts)
    .where(eq(accounts.personId, personId))
    .orderBy(asc(accounts.createdAt));
}

/** Adds an account; false when the seller already has a live one (somebody was faster). */
export async function addAccount(db: Database, account: NewAccount): Promise<boolean> {
  const added = await db
    .insert(accounts)
    .values({ ...account, state: "active" })
    .onConflictDoNothing()
    .returning({ id: accounts.id });
  return added.length === 1;
}

/** A person connected the account again: whatever was stored is replaced, trouble is forgotten. */
export async function replaceCredential(
  db: Database,
  id: string,
  credential: NewCredential,
): Promise<void> {
  await db
    .update(accounts)
    .set({
      ...credential,
      ...untroubled,
      state: "active",
      generation: sql`${accounts.generation} + 1`,
    })
    .where(and(eq(accounts.id, id), ne(accounts.state, "revoked")));
}

const untroubled = {
  failures: 0,
  retryAt: null,
  lastError: null,
  leaseHolder: null,
  leaseUntil: null,
  updatedAt: sql`now()`,
} as const;

type Version = { readonly id: string; readonly generation: number };

/**
 * Takes the right to refresh one generation, until `seconds` from now by the database's clock.
 * Undefined when another process holds it or the generation is no longer current.
 */
export async function leaseRefresh(
  db: Database,
  version: Version,
  lease: { holder: string; seconds: number },
): Promise<Account | undefined> {
  const [row] = await db
    .update(accounts)
    .set({
      leaseHolder: lease.holder,
      leaseUntil: sql`now() + ${lease.seconds} * interval '1 second'`,
    })
    .where(
      and(
        isCurrent(version),
        eq(accounts.state, "active"),
        or(isNull(accounts.leaseUntil), lt(accounts.leaseUntil, sql`now()`)),
      ),
    )
    .returning();
  return row;
}

/**
 * Stores what a refresh brought, if nobody stored a newer generation meanwhile. Whoever has the
 * provider's newest answer may store it, even after its lease ran out: dropping it would lose the grant.
 */
export async function saveRefreshed(
  db: Database,
  version: Version,
  credential: NewCredential,
): Promise<Account | undefined> {
  const [row] = await db
    .update(accounts)
    .set({ ...credential, ...untroubled, state: "active", generation: version.generation + 1 })
    .where(and(isCurrent(version), ne(accounts.state, "revoked")))
    .returning();
  return row;
}

/** The provider ended this generation. False when it is no longer the current one. */
export async function requireReconnect(
  db: Database,
  version: Version,
  code: string,
): Promise<boolean> {
  const marked = await db
    .update(accounts)
    .set({ ...untroubled, state: "reconnect_required", lastError: code })
    .where(and(isCurrent(version), eq(accounts.state, "active")))
    .returning({ id: accounts.id });
  return marked.length === 1;
}

/** The refresh brought nothing; it may be tried again after `retryAt`. Another holder's lease is left alone. */
export async function postponeRefresh(
  db: Database,
  version: Version,
  trouble: { retryAt: Date; code: string; failures: number; holder: string },
): Promise<void> {
  await db
    .update(accounts)
    .set({
      leaseHolder: null,
      leaseUntil: null,
      failures: trouble.failures,
      retryAt: trouble.retryAt,
      lastError: trouble.code,
      updatedAt: sql`now()`,
    })
    .where(and(isCurrent(version), eq(accounts.leaseHolder, trouble.holder)));
}

/** Accounts whose access token ends before `before` and that nobody is refreshing, a few at random. */
export function dueAccounts(
  db: Database,
  due: { before: Date; now: Date; most: number },
): Promise<{ id: string; generation: number }[]> {
  return db
    .select({ id: accounts.id, generation: accounts.generation })
    .from(accounts)
    .where(
      and(
        eq(accounts.state, "active"),
        eq(accounts.kind, "oauth"),
        lt(accounts.accessExpiresAt, due.before),
        or(isNull(accounts.retryAt), lt(accounts.retryAt, due.now)),
        or(isNull(accounts.leaseUntil), lt(accounts.leaseUntil, sql`now()`)),
      ),
    )
    .orderBy(sql`random()`)
    .limit(due.most);
}

export async function saveRefreshEvent(
  db: Database,
  event: typeof refreshEvents.$inferInsert,
): Promise<void> {
  await db.insert(refreshEvents).values(event);
}

function isCurrent(version: Version) {
  return and(eq(accounts.id, version.id), eq(accounts.generation, version.generation));
}

/** Ends everything that agents hold for an account; returns what has to be let go of. */
export async function endAccessTo(
  db: Database,
  accountId: string,
  now: Date,
): Promise<readonly string[]> {
  return await db.transaction(async (transaction) => {
    const closed = await transaction
      .update(sessions)
      .set({ endedAt: now })
      .where(and(eq(sessions.accountId, accountId), isNull(sessions.endedAt)))
      .returning({ id: sessions.id });
    const subjects = closed.map(({ id }) => `session:${id}`);
    await recordEndings(transaction, subjects);
    const ended = await endGrantsWhere(transaction, eq(grants.accountId, accountId), now);
    return [...subjects, ...ended];
  });
}
