import { type SQL, and, eq, isNull, ne, sql } from "drizzle-orm";
import { endGrantsWhere } from "#db/grants.ts";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import { agents, grants, refreshTokens, sessions } from "#db/schema/agents.ts";
import { connectAttempts, people, signIns } from "#db/schema/people.ts";
import type { Account } from "#src/accounts/store.ts";

/** What is to end, by the one thing that names it. `id` is a client id of an agent, a name of a provider. */
export type Selection = {
  readonly kind: "account" | "agent" | "session" | "grant" | "person" | "provider";
  readonly id: string;
};

/** How much is alive. */
export type LiveCounts = {
  readonly accounts: number;
  readonly sessions: number;
  readonly grants: number;
  readonly refreshTokens: number;
  readonly agents: number;
  readonly signIns: number;
};

const nothing = sql`false`;

/** Rows of a table with an account and a person that a selection means. */
function meant(
  { kind, id }: Selection,
  table: typeof sessions | typeof grants,
  own: "session" | "grant",
): SQL {
  if (kind === "grant" && own === "grant") {
    return sql`${id}::uuid in (${grants.id}, ${grants.policyId})`;
  }
  if (kind === own) return sql`${table.id} = ${id}::uuid`;
  if (kind === "account") return sql`${table.accountId} = ${id}::uuid`;
  if (kind === "person") return sql`${table.personId} = ${id}::uuid`;
  if (kind === "provider") {
    return sql`${table.accountId} in (select id from ${accounts} where provider = ${id})`;
  }
  return kind === "agent" && own === "grant" ? sql`${grants.clientId} = ${id}` : nothing;
}

function meantAccounts({ kind, id }: Selection): SQL {
  if (kind === "account") return sql`${accounts.id} = ${id}::uuid`;
  if (kind === "person") return sql`${accounts.personId} = ${id}::uuid`;
  return kind === "provider" ? sql`${accounts.provider} = ${id}` : nothing;
}

function meantAgents(selection: Selection): SQL {
  if (selection.kind === "agent") return sql`${agents.clientId} = ${selection.id}`;
  return sql`${agents.accountId} in (select id from ${accounts} where ${meantAccounts(selection)})`;
}

/** The accounts that are not disconnected yet. */
export function accountsIn(db: Database, selection: Selection): Promise<Account[]> {
  return db
    .select()
    .from(accounts)
    .where(and(meantAccounts(selection), ne(accounts.state, "revoked")))
    .orderBy(accounts.createdAt);
}

/** How much of a selection can still be used. */
export async function living(db: Database, selection: Selection): Promise<LiveCounts> {
  const isOpenGrant = and(meant(selection, grants, "grant"), isNull(grants.endedAt));
  const isOpenSession = and(
    meant(selection, sessions, "session"),
    isNull(sessions.endedAt),
    sql`${sessions.expiresAt} > now()`,
  );
  const isLiveToken = sql`${refreshTokens.expiresAt} > now()
    and ${refreshTokens.grantId} in (select id from ${grants} where ${isOpenGrant})`;
  const ofPerson = selection.kind === "person" ? selection.id : undefined;
  const isUsable = and(
    meantAccounts(selection),
    sql`${accounts.state} not in ('revoking', 'revoked')`,
  );
  const [connected, open, allowed, tokens, robots, browsers] = await Promise.all([
    db.$count(accounts, isUsable),
    db.$count(sessions, isOpenSession),
    db.$count(grants, isOpenGrant),
    db.$count(refreshTokens, isLiveToken),
    db.$count(agents, meantAgents(selection)),
    ofPerson === undefined ? 0 : db.$count(signIns, eq(signIns.personId, ofPerson)),
  ]);
  return {
    accounts: connected,
    sessions: open,
    grants: allowed,
    refreshTokens: tokens,
    agents: robots,
    signIns: browsers,
  };
}

/** Ends sessions, grants and sign-ins of a selection in one transaction; returns what has ended. */
export async function endAccess(
  db: Database,
  selection: Selection,
  now: Date,
): Promise<readonly Topic[]> {
  return await db.transaction(async (transaction) => {
    const closed = await transaction
      .update(sessions)
      .set({ endedAt: now })
      .where(and(meant(selection, sessions, "session"), isNull(sessions.endedAt)))
      .returning({ id: sessions.id });
    const topics = closed.map(({ id }): Topic => `session:${id}`);
    await publish(transaction, topics);
    if (selection.kind === "person") {
      await transaction.delete(signIns).where(eq(signIns.personId, selection.id));
      await transaction.delete(connectAttempts).where(eq(connectAttempts.personId, selection.id));
    }
    const ended = await endGrantsWhere(transaction, meant(selection, grants, "grant"), now);
    return [...topics, ...ended];
  });
}

/** Whether there is, or was, such a thing at all. */
export async function isKnown(db: Database, { kind, id }: Selection): Promise<boolean> {
  if (kind === "session") return (await db.$count(sessions, eq(sessions.id, id))) > 0;
  if (kind === "grant") {
    return (await db.$count(grants, sql`${id}::uuid in (${grants.id}, ${grants.policyId})`)) > 0;
  }
  if (kind === "person") return (await db.$count(people, eq(people.id, id))) > 0;
  if (kind !== "agent") return true;
  const known = await Promise.all([
    db.$count(agents, eq(agents.clientId, id)),
    db.$count(grants, eq(grants.clientId, id)),
  ]);
  return known.some((count) => count > 0);
}
