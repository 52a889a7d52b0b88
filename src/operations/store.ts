import {
  and,
  eq,
  gt,
  inArray,
  isNotNull,
  isNull,
  lt,
  or,
  sql,
  desc,
  getTableColumns,
} from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { type accountStates, accounts } from "#db/schema/accounts.ts";
import { readId } from "#src/crypto/ids.ts";
import { type Account, type ReadAccount, readColumns } from "#src/accounts/store.ts";
import { tasks } from "#db/schema/operations.ts";
import { grants, sessions } from "#db/schema/agents.ts";

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

/** Notes that a task was done now, and what it did. */
export async function taskDone(
  db: Database,
  name: string,
  outcome: Readonly<Record<string, number>>,
): Promise<void> {
  const done = { doneAt: sql`now()`, outcome, takenBy: null, takenUntil: null };
  await db
    .insert(tasks)
    .values({ name, ...done })
    .onConflictDoUpdate({ target: tasks.name, set: done });
}

/**
 * Takes a task for one replica, when it was not done for `everySeconds` and nobody else is at it. Whoever takes it
 * and dies gives it back after a minute.
 */
export async function takeTask(
  db: Database,
  task: { readonly name: string; readonly holder: string; readonly everySeconds: number },
): Promise<boolean> {
  const { name, holder, everySeconds } = task;
  const rows = await db.execute(sql`
    insert into ${tasks} as t (name, taken_by, taken_until)
    values (${name}, ${holder}::uuid, now() + interval '1 minute')
    on conflict (name) do update set taken_by = ${holder}::uuid, taken_until = now() + interval '1 minute'
    where (t.taken_until is null or t.taken_until < now())
      and (t.done_at is null or t.done_at < now() - ${everySeconds} * interval '1 second')
    returning name`);
  return rows.length === 1;
}

/** How long ago a task was done; of one that never was, how long this database has existed. Seconds. */
export async function secondsSince(db: Database, name: string): Promise<number> {
  const [row] = await db.execute<{ seconds: number }>(sql`
    select extract(epoch from now() - coalesce(
      (select done_at from ${tasks} where name = ${name}),
      (select min(applied_at) from smartdash_migrations)))::float8 as seconds`);
  return row?.seconds ?? 0;
}

/** Every task with when it was done and what it did. */
export function allTasks(db: Database): Promise<(typeof tasks.$inferSelect)[]> {
  return db.select().from(tasks).orderBy(tasks.name);
}

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

type AccountCount = {
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

export type AccountRow = Pick<
  typeof accounts.$inferSelect,
  | "id"
  | "provider"
  | "sellerId"
  | "label"
  | "site"
  | "state"
  | "accessExpiresAt"
  | "lastError"
  | "createdAt"
>;

/** By its id, its seller's, or its label. */
function namedAs(named: string) {
  const id = readId(named);
  if (id !== undefined) return eq(accounts.id, id);
  return or(eq(accounts.sellerId, named), eq(accounts.label, named));
}

/** Accounts without their credentials, the newest first, a page from before an id. */
export function accountsBefore(
  db: Database,
  which: {
    readonly state: AccountRow["state"] | undefined;
    /** Of a seller whose id, or an account whose id it is. */
    readonly named: string | undefined;
    readonly before: string | undefined;
    readonly most: number;
  },
): Promise<AccountRow[]> {
  const { id, provider, sellerId, label, site, state, accessExpiresAt, lastError, createdAt } =
    accounts;
  return db
    .select({ id, provider, sellerId, label, site, state, accessExpiresAt, lastError, createdAt })
    .from(accounts)
    .where(
      and(
        which.state === undefined ? undefined : eq(state, which.state),
        which.named === undefined ? undefined : namedAs(which.named),
        which.before === undefined ? undefined : lt(id, which.before),
      ),
    )
    .orderBy(desc(id))
    .limit(which.most);
}
