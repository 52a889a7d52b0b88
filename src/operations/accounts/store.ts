import { and, desc, eq, getTableColumns, isNull, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { type accountStates, accounts } from "#db/schema/accounts.ts";
import { grants, sessions } from "#db/schema/agents.ts";
import type { Account } from "#src/accounts/store.ts";

export type ListedAccount = Omit<Account, "accessToken" | "refreshToken">;

/** One page of the accounts, without their credentials: those in trouble first, then the newest; and how many there are. */
export async function accountsFor(
  db: Database,
  which: {
    readonly provider?: string | undefined;
    readonly state?: string | undefined;
    readonly most: number;
    /** From 1. */
    readonly page: number;
  },
): Promise<{ readonly accounts: readonly ListedAccount[]; readonly total: number }> {
  const { accessToken: _, refreshToken: __, ...columns } = getTableColumns(accounts);
  const { provider, state, most, page } = which;
  const fits = and(
    provider === undefined ? undefined : eq(accounts.provider, provider),
    state === undefined ? undefined : sql`${accounts.state} = ${state}`,
  );
  const rows = await db
    .select(columns)
    .from(accounts)
    .where(fits)
    .orderBy(
      sql`${accounts.state} in ('active', 'revoked')`,
      desc(accounts.createdAt),
      desc(accounts.id),
    )
    .limit(most)
    .offset((page - 1) * most);
  return { accounts: rows, total: await db.$count(accounts, fits) };
}

const mostIds = 100;

/** Ids of what is open for an account, the newest first, as `revoke` takes them. */
export async function openAccess(
  db: Database,
  id: string,
): Promise<{ readonly sessions: readonly string[]; readonly grants: readonly string[] }> {
  const isOpen = and(
    eq(sessions.accountId, id),
    isNull(sessions.endedAt),
    sql`${sessions.expiresAt} > now()`,
  );
  const [open, allowed] = await Promise.all([
    db
      .select({ id: sessions.id })
      .from(sessions)
      .where(isOpen)
      .orderBy(desc(sessions.id))
      .limit(mostIds),
    db
      .select({ id: grants.id })
      .from(grants)
      .where(and(eq(grants.accountId, id), isNull(grants.endedAt)))
      .orderBy(desc(grants.id))
      .limit(mostIds),
  ]);
  return { sessions: open.map((row) => row.id), grants: allowed.map((row) => row.id) };
}

export type AccountCount = {
  readonly provider: string;
  readonly state: (typeof accountStates)[number];
  readonly count: number;
};

/** How many accounts are in which state. */
export function countAccounts(db: Database): Promise<AccountCount[]> {
  return db
    .select({
      provider: accounts.provider,
      state: accounts.state,
      count: sql<number>`count(*)::int`,
    })
    .from(accounts)
    .groupBy(accounts.provider, accounts.state)
    .orderBy(accounts.provider, accounts.state);
}
