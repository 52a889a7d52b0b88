import { and, desc, eq, getTableColumns, inArray, isNull, not, sql } from "drizzle-orm";
import { endGrantsWhere } from "#db/grants.ts";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { agents, grants, usedAssertions } from "#db/schema/agents.ts";

export type AgentRow = typeof agents.$inferSelect & { readonly provider: string | null };
export type NewAgent = Omit<typeof agents.$inferSelect, "createdAt" | "usedAt">;

const unusedDays = 30;
const isUnused = sql`(${agents.kind} = 'dynamic' and ${agents.usedAt} is null)`;
/** A client that registered itself long ago and never had a token. */
export const isExpired = sql`${agents.kind} = 'dynamic' and ${agents.usedAt} is null
  and ${agents.createdAt} < now() - ${unusedDays} * interval '1 day'`;

const withProvider = { ...getTableColumns(agents), provider: accounts.provider };

/** A registered client with the provider of its account; one that was never used ends after 30 days. */
export async function agentByClientId(
  db: Database,
  clientId: string,
): Promise<AgentRow | undefined> {
  const [row] = await db
    .select(withProvider)
    .from(agents)
    .leftJoin(accounts, eq(accounts.id, agents.accountId))
    .where(and(eq(agents.clientId, clientId), sql`not (${isExpired})`));
  return row;
}

export async function saveAgent(db: Database, agent: NewAgent): Promise<boolean> {
  const saved = await db
    .insert(agents)
    .values(agent)
    .onConflictDoNothing({ target: agents.clientId })
    .returning({ id: agents.id });
  return saved.length > 0;
}

/** From now on the client is not forgotten as unused. */
export async function touchAgent(db: Database, id: string, now: Date): Promise<void> {
  await db
    .update(agents)
    .set({ usedAt: now })
    .where(and(eq(agents.id, id), isNull(agents.usedAt)));
}

/** The operator's agents; with `isAll` also clients that registered themselves and were used. */
export function listAgents(
  db: Database,
  { isAll, most }: { readonly isAll: boolean; readonly most?: number },
): Promise<AgentRow[]> {
  const found = db
    .select(withProvider)
    .from(agents)
    .leftJoin(accounts, eq(accounts.id, agents.accountId))
    .where(isAll ? not(isUnused) : eq(agents.kind, "operator"))
    .orderBy(desc(agents.createdAt));
  return most === undefined ? found : found.limit(most);
}

/** Removes a client and ends every grant it has; returns what ended: nothing when nobody of this id is known. */
export async function removeAgent(
  db: Database,
  clientId: string,
  now: Date,
): Promise<readonly Topic[]> {
  return await db.transaction(async (transaction) => {
    const removed = await transaction
      .delete(agents)
      .where(eq(agents.clientId, clientId))
      .returning({ id: agents.id });
    const ended = await endGrantsWhere(transaction, eq(grants.clientId, clientId), now);
    const topics = removed.map(({ id }): Topic => `agent:${id}`);
    await publish(transaction, topics);
    return [...topics, ...ended];
  });
}

/** How many clients have registered themselves and were never used. */
export async function unusedAgents(db: Database): Promise<number> {
  return await db.$count(agents, isUnused);
}

/** Makes room: of the clients that nobody used, the oldest go, unless they are younger than an hour. */
export async function forgetOldestUnused(db: Database, most: number): Promise<void> {
  const oldest = db
    .select({ id: agents.id })
    .from(agents)
    .where(and(isUnused, sql`${agents.createdAt} < now() - interval '1 hour'`))
    .orderBy(agents.createdAt)
    .limit(most);
  await db.delete(agents).where(and(inArray(agents.id, oldest), isUnused));
}

/** False when the assertion was used before; the statement that asks is the one that remembers. */
export async function useAssertion(
  db: Database,
  assertion: { fingerprint: Uint8Array; expiresAt: Date },
): Promise<boolean> {
  const used = await db
    .insert(usedAssertions)
    .values(assertion)
    .onConflictDoNothing()
    .returning({ expiresAt: usedAssertions.expiresAt });
  return used.length === 1;
}
