import { and, desc, eq, isNotNull, isNull, lt, or, sql } from "drizzle-orm";
import { endGrantsWhere } from "#db/grants.ts";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { authorizationCodes, consents, grants, refreshTokens } from "#db/schema/agents.ts";
import { toolPolicies } from "#db/schema/guards.ts";
import { accountLabel } from "#src/accounts/store.ts";

export type Grant = typeof grants.$inferSelect;
export type NewGrant = Omit<
  Grant,
  "createdAt" | "activatedAt" | "expiresAt" | "endedAt" | "policyId"
>;

/** Whether it has ended, by somebody's doing or because its day has come. */
export function isOver({ endedAt, expiresAt }: Pick<Grant, "endedAt" | "expiresAt">, now: Date) {
  return endedAt !== null || (expiresAt !== null && expiresAt <= now);
}

/** Neither ended nor past the day that its person has set. */
export const isOpenGrant = sql`(${grants.endedAt} is null
  and (${grants.expiresAt} is null or ${grants.expiresAt} > now()))`;
type Consent = typeof consents.$inferInsert;

/** What a person allowed, its code, and that they did: all of it or nothing. */
export async function saveDecision(
  db: Database,
  decided: {
    grant: NewGrant;
    code: Omit<typeof authorizationCodes.$inferInsert, "grantId">;
    consent: Consent;
    /** The person was asked: what they had narrowed is no longer. */
    isAnew: boolean;
  },
): Promise<void> {
  const { grant, code, consent, isAnew } = decided;
  await db.transaction(async (transaction) => {
    await transaction.insert(grants).values(grant);
    if (isAnew) await liftNarrowing(transaction, grant.id);
    await transaction.insert(authorizationCodes).values({ ...code, grantId: grant.id });
    await transaction
      .insert(consents)
      .values(consent)
      .onConflictDoUpdate({
        target: [consents.personId, consents.clientId, consents.upstream],
        set: consent,
      });
  });
}

/** Whoever is asked anew decides anew: what they had narrowed of the same permission is gone. `db` is a transaction. */
export async function liftNarrowing(db: Pick<Database, "execute">, grantId: string): Promise<void> {
  await db.execute(sql`delete from ${toolPolicies} where subject = (
    select 'narrowed:' || policy_id from ${grants} where id = ${grantId})`);
}

export async function consentOf(
  db: Database,
  asked: Pick<Consent, "personId" | "clientId" | "upstream">,
): Promise<typeof consents.$inferSelect | undefined> {
  const [row] = await db
    .select()
    .from(consents)
    .where(
      and(
        eq(consents.personId, asked.personId),
        eq(consents.clientId, asked.clientId),
        eq(consents.upstream, asked.upstream),
      ),
    );
  return row;
}

/** The code with its grant, whether it was used or not. */
export async function codeWithGrant(db: Database, fingerprint: Uint8Array) {
  const [row] = await db
    .select({ code: authorizationCodes, grant: grants })
    .from(authorizationCodes)
    .innerJoin(grants, eq(grants.id, authorizationCodes.grantId))
    .where(eq(authorizationCodes.fingerprint, fingerprint));
  return row;
}

export async function grantById(db: Database, id: string): Promise<Grant | undefined> {
  const [row] = await db.select().from(grants).where(eq(grants.id, id));
  return row;
}

export type NewRefreshToken = Pick<
  typeof refreshTokens.$inferInsert,
  "fingerprint" | "predecessor" | "expiresAt"
>;

/**
 * Uses a code up, begins its grant and adds the first refresh token, if the client may have one.
 * False when somebody else was faster or the grant has ended.
 */
export async function redeemCode(
  db: Database,
  redeeming: { code: Uint8Array; grantId: string; refresh: NewRefreshToken | undefined; now: Date },
): Promise<boolean> {
  const { code, grantId, refresh, now } = redeeming;
  return await db.transaction(async (transaction) => {
    const used = await transaction
      .update(authorizationCodes)
      .set({ usedAt: now })
      .where(and(eq(authorizationCodes.fingerprint, code), isNull(authorizationCodes.usedAt)))
      .returning({ grantId: authorizationCodes.grantId });
    if (used.length === 0) return false;
    return await beginGrant(transaction, { grantId, refresh, now });
  });
}

/** A grant counts from here on. False when it has ended. */
export async function beginGrant(
  transaction: Pick<Database, "update" | "insert">,
  beginning: { grantId: string; refresh: NewRefreshToken | undefined; now: Date },
): Promise<boolean> {
  const { grantId, refresh, now } = beginning;
  const begun = await transaction
    .update(grants)
    .set({ activatedAt: now })
    .where(and(eq(grants.id, grantId), isOpenGrant))
    .returning({ id: grants.id });
  if (begun.length === 0) return false;
  if (refresh !== undefined)
    await transaction.insert(refreshTokens).values({ ...refresh, grantId });
  return true;
}

/** A refresh token with its grant and whether its successor has been used. */
export async function refreshTokenWithGrant(db: Database, fingerprint: Uint8Array) {
  const [row] = await db
    .select({
      token: refreshTokens,
      grant: grants,
      isSuccessorUsed: sql<boolean>`exists (select 1 from refresh_tokens s
        where s.predecessor = ${refreshTokens.fingerprint} and s.rotated_at is not null)`,
    })
    .from(refreshTokens)
    .innerJoin(grants, eq(grants.id, refreshTokens.grantId))
    .where(eq(refreshTokens.fingerprint, fingerprint));
  return row;
}

/**
 * Exchanges a token for its successor; whoever comes again gets the moment of the first time.
 * Undefined when the grant has ended meanwhile.
 */
export async function rotateRefreshToken(
  db: Database,
  rotation: { fingerprint: Uint8Array; successor: NewRefreshToken; grantId: string; now: Date },
): Promise<Date | undefined> {
  const { fingerprint, successor, grantId, now } = rotation;
  return await db.transaction(async (transaction) => {
    const [rotated] = await transaction
      .update(refreshTokens)
      .set({
        rotatedAt: sql`coalesce(${refreshTokens.rotatedAt}, ${now.toISOString()}::timestamptz)`,
      })
      .where(
        and(
          eq(refreshTokens.fingerprint, fingerprint),
          sql`exists (select 1 from ${grants} where ${grants.id} = ${grantId} and ${isOpenGrant})`,
        ),
      )
      .returning({ rotatedAt: refreshTokens.rotatedAt });
    if (rotated === undefined) return undefined;
    await transaction
      .insert(refreshTokens)
      .values({ ...successor, grantId })
      // The same one again; another one (under another key) takes the place of one that was never used.
      .onConflictDoUpdate({
        target: refreshTokens.predecessor,
        set: { fingerprint: successor.fingerprint },
        setWhere: isNull(refreshTokens.rotatedAt),
      });
    return rotated.rotatedAt ?? now;
  });
}

/** The policy id of a grant that is named by its own or by its policy id; undefined when there is no such grant. */
export async function policyIdNamed(db: Database, id: string): Promise<string | undefined> {
  const [row] = await db
    .select({ policyId: grants.policyId })
    .from(grants)
    .where(or(eq(grants.id, id), eq(grants.policyId, id)))
    .limit(1);
  return row?.policyId;
}

/** An open grant of a person; undefined where there is none, or it is somebody else's. */
export async function openGrantOf(
  db: Database,
  which: { id: string; personId: string },
): Promise<Grant | undefined> {
  const [row] = await db
    .select()
    .from(grants)
    .where(
      and(
        eq(grants.id, which.id),
        eq(grants.personId, which.personId),
        isNotNull(grants.activatedAt),
        isOpenGrant,
      ),
    );
  return row;
}

/** Ends a grant; for its person every grant of the same permission, those without a token yet, too. Returns the topics of what ended. */
export async function endGrants(
  db: Database,
  which: { id: string; personId?: string },
  now: Date,
): Promise<readonly Topic[]> {
  const { id, personId } = which;
  const isMeant =
    personId === undefined
      ? eq(grants.id, id)
      : and(eq(grants.personId, personId), isSamePermission(id));
  return await db.transaction((transaction) => endGrantsWhere(transaction, isMeant, now));
}

/** Grants that the same agent has for the same account and upstream: each consent that is remembered makes another. */
function isSamePermission(id: string) {
  return sql`${grants.policyId} = (select policy_id from grants where id = ${id})`;
}

/** What agents may do for a person now. */
export function openGrants(db: Database, personId: string): Promise<Grant[]> {
  return db
    .select()
    .from(grants)
    .where(and(eq(grants.personId, personId), isNotNull(grants.activatedAt), isOpenGrant))
    .orderBy(desc(grants.activatedAt));
}

/** Grants that nobody can use any more end: begun more than two hours ago, and no refresh token lives. */
export async function endSpentGrants(db: Database, most: number): Promise<number> {
  const ended = await db.execute(sql`
    update ${grants} set ended_at = now() where id = any(array(
      select g.id from ${grants} g where g.ended_at is null and g.activated_at < now() - interval '2 hours'
        and not exists (select 1 from ${refreshTokens} r where r.grant_id = g.id and r.expires_at > now())
      limit ${most} for update skip locked))
    returning 1`);
  return ended.length;
}

/** Ends grants whose day has come, tells every replica, and says how many they were. */
export async function endExpiredGrants(
  db: Database,
  { most, now }: { readonly most: number; readonly now: Date },
): Promise<number> {
  return await db.transaction(async (transaction) => {
    const isDue = sql`${grants.id} = any(array(select id from ${grants}
      where ended_at is null and expires_at <= now() limit ${most} for update skip locked))`;
    return (await endGrantsWhere(transaction, isDue, now)).length;
  });
}

/**
 * Says when a permission ends, with every grant of it, no later than was said before, and forgets that its client need not ask: a grant without an
 * end would come of it. `topic` tells every replica, with the commit.
 */
export async function endGrantAt(
  db: Pick<Database, "transaction">,
  grant: Pick<Grant, "id" | "personId" | "clientId">,
  { expiresAt, topic }: { readonly expiresAt: Date; readonly topic: Topic },
): Promise<void> {
  await db.transaction(async (transaction) => {
    await transaction.execute(sql`
      update ${grants} set expires_at = least(expires_at, ${expiresAt.toISOString()}::timestamptz)
      where ${isSamePermission(grant.id)} and ${eq(grants.personId, grant.personId)}`);
    await transaction
      .delete(consents)
      .where(and(eq(consents.personId, grant.personId), eq(consents.clientId, grant.clientId)));
    await publish(transaction, [topic]);
  });
}

export type OpenGrant = Pick<
  Grant,
  "id" | "policyId" | "clientName" | "upstream" | "activatedAt"
> & { readonly account: string };

/** Permissions that hold, the newest first, a page from before an id. */
export function openGrantsBefore(
  db: Database,
  { before, most }: { readonly before: string | undefined; readonly most: number },
): Promise<OpenGrant[]> {
  const { id, policyId, clientName, upstream, activatedAt } = grants;
  return db
    .select({ id, policyId, clientName, upstream, activatedAt, account: accountLabel })
    .from(grants)
    .innerJoin(accounts, eq(accounts.id, grants.accountId))
    .where(
      and(isOpenGrant, isNotNull(activatedAt), before === undefined ? undefined : lt(id, before)),
    )
    .orderBy(desc(id))
    .limit(most);
}
