import { and, desc, eq, inArray, sql } from "drizzle-orm";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { agents, grants, sessions } from "#db/schema/agents.ts";
import { toolDefinitions } from "#db/schema/guards.ts";
import { switches } from "#db/schema/operations.ts";

export type Switch = typeof switches.$inferSelect;

/** Everything that is switched off. */
export function allSwitches(db: Database): Promise<Switch[]> {
  return db.select().from(switches).orderBy(switches.subject);
}

/** How many things are off, and the newest of them. */
export async function newestSwitches(
  db: Database,
  most: number,
): Promise<{ readonly count: number; readonly newest: readonly Switch[] }> {
  const [count, newest] = await Promise.all([
    db.$count(switches),
    db.select().from(switches).orderBy(desc(switches.at)).limit(most),
  ]);
  return { count, newest };
}

/** Which of these are off. */
export async function switchesAmong(
  db: Database,
  subjects: readonly string[],
): Promise<ReadonlyMap<string, Switch>> {
  if (subjects.length === 0) return new Map();
  const rows = await db
    .select()
    .from(switches)
    .where(inArray(switches.subject, [...subjects]));
  return new Map(rows.map((row) => [row.subject, row]));
}

/** Switches off, and tells every replica with the commit; a second time only the reason changes, if there is another. */
export async function saveSwitch(
  db: Database,
  off: Pick<Switch, "subject" | "reason" | "by">,
  topic: Topic,
): Promise<void> {
  await db.transaction(async (transaction) => {
    await transaction
      .insert(switches)
      .values(off)
      .onConflictDoUpdate({
        target: switches.subject,
        // What the operator has switched off is not a guard's to call its own.
        set: {
          reason:
            off.by === "guard"
              ? sql`case when ${switches.by} <> 'guard' then ${switches.reason} else ${off.reason} end`
              : sql`coalesce(${off.reason}, case when ${switches.by} <> 'guard' then ${switches.reason} end)`,
          by:
            off.by === "guard"
              ? sql`case when ${switches.by} <> 'guard' then ${switches.by} else 'guard' end`
              : off.by,
        },
      });
    await publish(transaction, [topic]);
  });
}

/** Switches on again; false when it was not off, or not by them. */
export async function removeSwitch(
  db: Database,
  subject: string,
  topic: Topic,
  by?: Switch["by"],
): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    const removed = await transaction
      .delete(switches)
      .where(and(eq(switches.subject, subject), by === undefined ? undefined : eq(switches.by, by)))
      .returning({ subject: switches.subject });
    if (removed.length > 0) await publish(transaction, [topic]);
    return removed.length === 1;
  });
}

/** What guards or operators have stopped of these, newest first. */
export function stoppedAmong(db: Database, topics: readonly string[]): Promise<Switch[]> {
  return db
    .select()
    .from(switches)
    .where(inArray(switches.subject, [...topics]))
    .orderBy(desc(switches.at));
}

/** Whether anything of this name has been here: an agent, a permission, a session, a tool that a list has shown. */
export async function isKnownSubject(db: Database, subject: string): Promise<boolean> {
  const [kind, name = ""] = subject.split(/:(.*)/s);
  const found = {
    agent: sql`exists (select 1 from ${agents} where ${name} in (client_id, id::text))
      or exists (select 1 from ${grants} where client_id = ${name})`,
    grant: sql`exists (select 1 from ${grants} where ${name} in (id::text, policy_id::text))`,
    session: sql`exists (select 1 from ${sessions} where id::text = ${name})`,
    tool: sql`exists (select 1 from ${toolDefinitions} where upstream || '/' || name = ${name})`,
  };
  if (kind !== "agent" && kind !== "grant" && kind !== "session" && kind !== "tool") return true;
  const [row] = await db.execute<{ known: boolean }>(sql`select ${found[kind]} as known`);
  return row?.known === true;
}
