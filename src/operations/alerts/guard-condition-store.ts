import { and, eq, gt, isNotNull, isNull, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { alerts, switches } from "#db/schema/operations.ts";
import { tallies, toolDefinitions } from "#db/schema/guards.ts";
import type { Condition } from "./condition-store.ts";

const mostAlerts = 100;
const count = sql<number>`count(*)::int`;

/** Definitions of tools that wait for somebody to look at them. */
export async function toolsHeld(db: Database): Promise<Condition[]> {
  const rows = await db
    .select({ subject: toolDefinitions.upstream, count })
    .from(toolDefinitions)
    .where(and(eq(toolDefinitions.state, "held"), isNull(toolDefinitions.decidedAt)))
    .groupBy(toolDefinitions.upstream);
  return rows.map(({ subject, count: tools }) => ({
    kind: "tool_held",
    subject,
    summary: `Tools at ${subject} are new or have changed (${tools}): smartdash tools diff ${subject}`,
  }));
}

/** Agents that went round in circles and were stopped. */
export async function agentsStopped(db: Database): Promise<Condition[]> {
  const rows = await db
    .select({ subject: switches.subject })
    .from(switches)
    .where(eq(switches.by, "guard"))
    .limit(mostAlerts);
  return rows.map(({ subject }) => ({
    kind: "agent_stopped",
    subject,
    summary: `${subject} was stopped in a loop: smartdash calls list --agent ${subject.replace(/^\w+:/, "")}`,
  }));
}

/** Budgets of days and months of which four fifths are used; each permission, and all accounts together. */
export async function budgetsLow(db: Database): Promise<Condition[]> {
  // `budget:agent:grant:ID:day:…`, `budget:account:ID:day:…`: no message names an account.
  const of = sql<string>`case when ${tallies.key} like 'budget:agent:%'
    then split_part(${tallies.key}, ':', 3) || ':' || split_part(${tallies.key}, ':', 4) else 'accounts' end`;
  const rows = await db
    .select({ subject: of, count })
    .from(tallies)
    .where(
      and(
        isNotNull(tallies.most),
        gt(tallies.expiresAt, sql`now()`),
        sql`${tallies.level} >= 0.8 * ${tallies.most}`,
        sql`${tallies.key} not like '%:minute:%'`,
      ),
    )
    .groupBy(sql`1`)
    .limit(mostAlerts);
  return rows.map(({ subject, count: budgets }) => ({
    kind: "budget_low",
    subject,
    summary: `Budgets of ${subject} are used to 80 % or more (${budgets}): smartdash budgets`,
  }));
}

/** What guards have to say about it all now, as the last look found it. */
export async function guardAlerts(db: Database): Promise<readonly string[]> {
  const rows = await db
    .selectDistinct({ kind: alerts.kind })
    .from(alerts)
    .where(
      and(
        eq(alerts.state, "firing"),
        sql`${alerts.kind} in ('tool_held', 'agent_stopped', 'budget_low')`,
      ),
    );
  return rows.map(({ kind }) => kind);
}
