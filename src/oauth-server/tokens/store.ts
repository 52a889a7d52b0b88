import { and, eq, gt, inArray, ne, or, sql } from "drizzle-orm";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { toolPolicies } from "#db/schema/guards.ts";
import { isConnected, isDisconnected } from "#src/accounts/store.ts";
import { isOpenGrant } from "../grants/store.ts";
import { agents, endings, grants, signingKeys } from "#db/schema/agents.ts";

export type SigningKeyRow = typeof signingKeys.$inferSelect;
export type NewSigningKey = Pick<
  SigningKeyRow,
  "id" | "algorithm" | "state" | "publicJwk" | "privateJwk"
>;

/** How long a replaced key still proves tokens: longer than any of them lives. */
export const keepPreviousHours = 2;

/** Every key with which a token may still be proven. */
export function signingKeyRows(db: Database): Promise<SigningKeyRow[]> {
  const recent = sql`now() - ${keepPreviousHours} * interval '1 hour'`;
  return db
    .select()
    .from(signingKeys)
    .where(or(ne(signingKeys.state, "previous"), gt(signingKeys.replacedAt, recent)));
}

/** Adds the keys that nobody else added first: there is one of each state for an algorithm. */
export async function addSigningKeys(db: Database, keys: readonly NewSigningKey[]): Promise<void> {
  await db
    .insert(signingKeys)
    .values([...keys])
    .onConflictDoNothing();
}

/** Any two processes that rotate keys must agree on this number. */
const rotationLock = 7_236_591_045;

/**
 * The current key becomes a previous one, the next one current, and `next` takes its place. Keys of another
 * algorithm stop signing.
 */
export async function rotateSigningKeys(db: Database, next: NewSigningKey): Promise<void> {
  await db.transaction(async (transaction) => {
    await transaction.execute(sql`select pg_advisory_xact_lock(${rotationLock})`);
    await transaction
      .update(signingKeys)
      .set({ state: "previous", replacedAt: sql`now()` })
      .where(eq(signingKeys.state, "current"));
    const ofAlgorithm = eq(signingKeys.algorithm, next.algorithm);
    const isNext = eq(signingKeys.state, "next");
    await transaction.update(signingKeys).set({ state: "current" }).where(and(isNext, ofAlgorithm));
    await transaction.delete(signingKeys).where(isNext);
    await transaction.insert(signingKeys).values(next);
  });
}

/** Every key that there was is gone, and with it every token that it signed. */
export async function replaceSigningKeys(
  db: Database,
  keys: readonly NewSigningKey[],
  ended: readonly Topic[],
): Promise<void> {
  await db.transaction(async (transaction) => {
    await transaction.execute(sql`select pg_advisory_xact_lock(${rotationLock})`);
    await transaction.delete(signingKeys);
    await transaction.insert(signingKeys).values([...keys]);
    await publish(transaction, ended);
  });
}

/** An open grant with what a call has to know about it. */
export async function openGrant(db: Database, id: string) {
  const [row] = await db
    .select({
      id: grants.id,
      personId: grants.personId,
      accountId: grants.accountId,
      provider: accounts.provider,
      upstream: grants.upstream,
      clientId: grants.clientId,
      clientName: grants.clientName,
      onlyReading: grants.onlyReading,
      policyId: grants.policyId,
      expiresAt: grants.expiresAt,
    })
    .from(grants)
    .innerJoin(accounts, eq(accounts.id, grants.accountId))
    .where(and(eq(grants.id, id), isOpenGrant, isConnected));
  return row;
}

/** An operator's agent; its account's person and provider where it has one. */
export async function agentById(db: Database, id: string) {
  const [row] = await db
    .select({
      id: agents.id,
      clientId: agents.clientId,
      name: agents.name,
      accountId: agents.accountId,
      personId: accounts.personId,
      provider: accounts.provider,
      accountState: accounts.state,
      upstreams: agents.upstreams,
    })
    .from(agents)
    .leftJoin(accounts, eq(accounts.id, agents.accountId))
    .where(eq(agents.id, id));
  const state = row?.accountState ?? "active";
  return isDisconnected({ state }) ? undefined : row;
}

/** Which tools these subjects may use; see `tool_policies`. */
export function policiesOf(db: Database, topics: readonly string[]) {
  const { allow, deny, approve, subject } = toolPolicies;
  return db
    .select({ allow, deny, approve })
    .from(toolPolicies)
    .where(inArray(subject, [...topics]));
}

/** Whether any of these has been ended. */
export async function isEnded(db: Database, topics: readonly string[]): Promise<boolean> {
  const rows = await db
    .select({ id: endings.id })
    .from(endings)
    .where(inArray(endings.subject, [...topics]))
    .limit(1);
  return rows.length > 0;
}
