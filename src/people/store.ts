import { and, eq, gt, isNull, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { connectAttempts, invites, people, signIns } from "#db/schema/people.ts";

export type Attempt = typeof connectAttempts.$inferSelect;
type NewAttempt = Omit<Attempt, "createdAt">;

export async function savePerson(db: Database, id: string): Promise<void> {
  await db.insert(people).values({ id });
}

export async function isAnybodyHere(db: Database): Promise<boolean> {
  const rows = await db.select({ id: people.id }).from(people).limit(1);
  return rows.length > 0;
}

export async function saveInvite(
  db: Database,
  invite: { id: string; fingerprint: Uint8Array; expiresAt: Date },
): Promise<void> {
  await db.insert(invites).values(invite);
}

export async function isInviteOpen(
  db: Database,
  fingerprint: Uint8Array,
  now: Date,
): Promise<boolean> {
  return (await db.$count(invites, openInvite(fingerprint, now))) > 0;
}

/** Adds a person and uses their invitation up, or neither. False when it is not open. */
export async function saveInvitedPerson(
  db: Database,
  invited: { personId: string; fingerprint: Uint8Array; now: Date },
): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    const used = await transaction
      .update(invites)
      .set({ usedAt: invited.now })
      .where(openInvite(invited.fingerprint, invited.now))
      .returning({ id: invites.id });
    if (used.length === 0) return false;
    await transaction.insert(people).values({ id: invited.personId });
    return true;
  });
}

function openInvite(fingerprint: Uint8Array, now: Date) {
  return and(
    eq(invites.fingerprint, fingerprint),
    isNull(invites.usedAt),
    gt(invites.expiresAt, now),
  );
}

export async function saveSignIn(
  db: Database,
  signIn: { id: string; personId: string; cookieFingerprint: Uint8Array; expiresAt: Date },
): Promise<void> {
  await db.insert(signIns).values(signIn);
}

export async function signedInPerson(
  db: Database,
  cookieFingerprint: Uint8Array,
  now: Date,
): Promise<string | undefined> {
  const [row] = await db
    .select({ personId: signIns.personId })
    .from(signIns)
    .where(and(eq(signIns.cookieFingerprint, cookieFingerprint), gt(signIns.expiresAt, now)));
  return row?.personId;
}

export async function endSignIn(db: Database, cookieFingerprint: Uint8Array): Promise<void> {
  await db.delete(signIns).where(eq(signIns.cookieFingerprint, cookieFingerprint));
}

export async function saveAttempt(db: Database, attempt: NewAttempt): Promise<void> {
  await db.insert(connectAttempts).values(attempt);
}

/** The attempt behind a state, for the browser that began it; the same statement ends it. */
export async function takeAttempt(
  db: Database,
  state: { stateFingerprint: Uint8Array; browserFingerprint: Uint8Array },
): Promise<Attempt | undefined> {
  const [row] = await db
    .delete(connectAttempts)
    .where(
      and(
        eq(connectAttempts.stateFingerprint, state.stateFingerprint),
        eq(connectAttempts.browserFingerprint, state.browserFingerprint),
      ),
    )
    .returning();
  return row;
}

/** Whether a state is known at all; tells another browser's attempt from one that was used up. */
export async function isStateKnown(db: Database, stateFingerprint: Uint8Array): Promise<boolean> {
  const rows = await db
    .select({ one: sql`1` })
    .from(connectAttempts)
    .where(eq(connectAttempts.stateFingerprint, stateFingerprint));
  return rows.length > 0;
}
