import { and, eq, gt, inArray, isNotNull, isNull, lt, or, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { type Account, type ReadAccount, readColumns } from "#src/accounts/store.ts";

const inUse = inArray(accounts.state, ["active", "ambiguous"]);

/** Accounts whose refresh token ends soon; each once a day, for all replicas. */
export function accountsAboutToLapse(
  db: Database,
  days: number,
): Promise<Pick<Account, "id" | "provider" | "refreshExpiresAt" | "lastError">[]> {
  const isTold = gt(accounts.lapseWarnedAt, sql`now() - interval '1 day'`);
  return db
    .update(accounts)
    .set({ lapseWarnedAt: sql`now()` })
    .where(
      and(
        inUse,
        isNotNull(accounts.refreshExpiresAt),
        lt(accounts.refreshExpiresAt, sql`now() + ${days} * interval '1 day'`),
        or(isNull(accounts.lapseWarnedAt), sql`not ${isTold}`),
      ),
    )
    .returning({
      id: accounts.id,
      provider: accounts.provider,
      refreshExpiresAt: accounts.refreshExpiresAt,
      lastError: accounts.lastError,
    });
}

/** One account of a provider that was not called for so long, taken so that no other replica calls it too. */
export async function takeIdle(
  db: Database,
  provider: string,
  days: number,
): Promise<ReadAccount | undefined> {
  const since = sql`coalesce(${accounts.keptAliveAt}, ${accounts.createdAt})`;
  const next = db
    .select({ id: accounts.id })
    .from(accounts)
    .where(
      and(
        eq(accounts.provider, provider),
        eq(accounts.kind, "oauth"),
        inUse,
        gt(accounts.accessExpiresAt, sql`now()`),
        sql`${since} < now() - ${days} * interval '1 day'`,
      ),
    )
    .limit(1)
    .for("update", { skipLocked: true });
  const [row] = await db
    .update(accounts)
    .set({ keptAliveAt: sql`now()` })
    .where(sql`${accounts.id} = (${next})`)
    .returning(readColumns);
  return row;
}

/** How many accounts a person or the provider has to do something about, by state and reason. */
export function accountsInDoubt(
  db: Database,
): Promise<{ state: Account["state"]; lastError: string | null; count: number }[]> {
  return db
    .select({
      state: accounts.state,
      lastError: accounts.lastError,
      count: sql<number>`count(*)::int`,
    })
    .from(accounts)
    .where(inArray(accounts.state, ["ambiguous", "reconnect_required", "revoking"]))
    .groupBy(accounts.state, accounts.lastError)
    .orderBy(accounts.state);
}
