import { and, desc, eq, gt, isNull } from "drizzle-orm";
import { recordEndings } from "#db/endings.ts";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { sessions } from "#db/schema/agents.ts";

export type Session = typeof sessions.$inferSelect;

export async function saveSession(
  db: Database,
  session: Omit<Session, "createdAt" | "endedAt">,
): Promise<void> {
  await db.insert(sessions).values(session);
}

/** An open session with the provider of its account. */
export async function sessionByFingerprint(db: Database, tokenFingerprint: Uint8Array, now: Date) {
  const [row] = await db
    .select({
      id: sessions.id,
      personId: sessions.personId,
      accountId: sessions.accountId,
      expiresAt: sessions.expiresAt,
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
    await recordEndings(
      transaction,
      ended.map(({ id }) => `session:${id}`),
    );
    return ended.length === 1;
  });
}
