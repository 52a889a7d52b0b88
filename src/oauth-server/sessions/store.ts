import { and, desc, eq, gt, isNull, lt, notInArray, sql } from "drizzle-orm";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { sessions } from "#db/schema/agents.ts";
import { type Account, accountLabel } from "#src/accounts/store.ts";

export type Session = typeof sessions.$inferSelect;

const ended: Account["state"][] = ["revoking", "revoked"];

/** False when the account has been disconnected meanwhile. */
export async function saveSession(
  db: Database,
  session: Omit<Session, "createdAt" | "endedAt">,
): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    // Whoever ends the account waits for this, and then ends the session with it.
    const open = await transaction
      .select({ id: accounts.id })
      .from(accounts)
      .where(and(eq(accounts.id, session.accountId), notInArray(accounts.state, ended)))
      .for("share");
    if (open.length === 0) return false;
    await transaction.insert(sessions).values(session);
    return true;
  });
}

/** An open session with the provider of its account. */
export async function sessionByFingerprint(db: Database, tokenFingerprint: Uint8Array, now: Date) {
  const [row] = await db
    .select({
      id: sessions.id,
      personId: sessions.personId,
      accountId: sessions.accountId,
      expiresAt: sessions.expiresAt,
      platform: sessions.platform,
      provider: accounts.provider,
    })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .where(
      and(
        eq(sessions.tokenFingerprint, tokenFingerprint),
        isNull(sessions.endedAt),
        gt(sessions.expiresAt, now),
      ),
    );
  return row;
}

export function openSessions(db: Database, personId: string, now: Date): Promise<Session[]> {
  return db
    .select()
    .from(sessions)
    .where(
      and(eq(sessions.personId, personId), isNull(sessions.endedAt), gt(sessions.expiresAt, now)),
    )
    .orderBy(desc(sessions.createdAt));
}

/** Ends a person's own session. False when there is no such open one. */
export async function closeSession(
  db: Database,
  session: { id: string; personId: string },
  now: Date,
): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    const ended = await transaction
      .update(sessions)
      .set({ endedAt: now })
      .where(
        and(
          eq(sessions.id, session.id),
          eq(sessions.personId, session.personId),
          isNull(sessions.endedAt),
        ),
      )
      .returning({ id: sessions.id });
    await publish(
      transaction,
      ended.map(({ id }): Topic => `session:${id}`),
    );
    return ended.length === 1;
  });
}

export type OpenSession = Pick<Session, "id" | "platform" | "createdAt" | "expiresAt"> & {
  readonly account: string;
};

/** Sessions that are open, the newest first, a page from before an id. */
export function openSessionsBefore(
  db: Database,
  { before, most }: { readonly before: string | undefined; readonly most: number },
): Promise<OpenSession[]> {
  const { id, platform, createdAt, expiresAt } = sessions;
  return db
    .select({ id, platform, createdAt, expiresAt, account: accountLabel })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .where(
      and(
        isNull(sessions.endedAt),
        gt(expiresAt, sql`now()`),
        before === undefined ? undefined : lt(id, before),
      ),
    )
    .orderBy(desc(id))
    .limit(most);
}
