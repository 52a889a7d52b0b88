import { and, eq, inArray, isNull, lte, ne, or, sql } from "drizzle-orm";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { agents, grants, sessions } from "#db/schema/agents.ts";
import { type Account, type ReadAccount, endAccessIn, readColumns } from "../store.ts";
import type { Version } from "../journal/answers.ts";

type Begun = {
  readonly account: ReadAccount;
  /** What ended with it, for this process to forget. */
  readonly ended: readonly Topic[];
};

/**
 * From this commit on nothing of the account can be used here: its state, every session and grant, and what its
 * operator's agents hold, in one transaction. Undefined when it is disconnected already.
 */
export async function beginRevoking(
  db: Database,
  id: string,
  now: Date,
): Promise<Begun | undefined> {
  return await db.transaction(async (transaction) => {
    const [account] = await transaction
      .update(accounts)
      .set({ state: "revoking", retryAt: null, failures: 0, failingSince: sql`now()` })
      .where(and(eq(accounts.id, id), ne(accounts.state, "revoked")))
      .returning(readColumns);
    if (account === undefined) return undefined;
    const ended = await endAccessIn(transaction, id, now);
    const held = await transaction
      .select({ id: agents.id })
      .from(agents)
      .where(eq(agents.accountId, id));
    const topics = held.map((agent): Topic => `agent:${agent.id}`);
    await publish(transaction, topics);
    return { account, ended: [...ended, ...topics] };
  });
}

/**
 * The account is gone here: its credential is wiped, the row stays as a trace. False when its credential was
 * replaced meanwhile: what was taken back was an older one.
 */
export async function finishRevoking(db: Database, { id, generation }: Version): Promise<boolean> {
  const nothing = Buffer.alloc(0);
  const isThisOne = and(eq(accounts.id, id), eq(accounts.generation, generation));
  const finished = await db
    .update(accounts)
    .set({
      state: "revoked",
      accessToken: nothing,
      refreshToken: sql`case when ${accounts.refreshToken} is null then null else ${nothing}::bytea end`,
      leaseHolder: null,
      leaseUntil: null,
      intents: 0,
      intentJournal: null,
      retryAt: null,
      updatedAt: sql`now()`,
    })
    .where(and(isThisOne, eq(accounts.state, "revoking")))
    .returning({ id: accounts.id });
  return finished.length === 1;
}

/** The provider has not taken it back yet; it is asked again after a while. */
export async function postponeRevoking(
  db: Database,
  id: string,
  trouble: { readonly code: string; readonly waitMs: number },
): Promise<void> {
  await db
    .update(accounts)
    .set({
      failures: sql`${accounts.failures} + 1`,
      retryAt: sql`now() + ${trouble.waitMs} * interval '1 millisecond'`,
      lastError: trouble.code,
    })
    .where(and(eq(accounts.id, id), eq(accounts.state, "revoking")));
}

/** One account that still has to be taken back at its provider, for this process alone for a minute. */
export async function takeRevoking(db: Database): Promise<ReadAccount | undefined> {
  const next = db
    .select({ id: accounts.id })
    .from(accounts)
    .where(
      and(
        eq(accounts.state, "revoking"),
        or(isNull(accounts.retryAt), lte(accounts.retryAt, sql`now()`)),
      ),
    )
    .limit(1)
    .for("update", { skipLocked: true });
  const [row] = await db
    .update(accounts)
    .set({ retryAt: sql`now() + interval '1 minute'` })
    .where(sql`${accounts.id} = (${next})`)
    .returning(readColumns);
  return row;
}

/** What would end with an account. */
export async function whatEndsWith(db: Database, { id }: Pick<Account, "id">) {
  const [open] = await db
    .select({ count: sql<number>`count(*)::int` })
    .from(sessions)
    .where(
      and(eq(sessions.accountId, id), isNull(sessions.endedAt), sql`${sessions.expiresAt} > now()`),
    );
  const [allowed] = await db
    .select({ count: sql<number>`count(*)::int` })
    .from(grants)
    .where(and(inArray(grants.accountId, [id]), isNull(grants.endedAt)));
  const [robots] = await db
    .select({ count: sql<number>`count(*)::int` })
    .from(agents)
    .where(eq(agents.accountId, id));
  return {
    sessions: open?.count ?? 0,
    grants: allowed?.count ?? 0,
    agents: robots?.count ?? 0,
  };
}
