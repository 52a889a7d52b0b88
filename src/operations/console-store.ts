import { and, desc, eq, gt, lt, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { refreshEvents } from "#db/schema/accounts.ts";
import { operatorActions, replicas } from "#db/schema/operations.ts";
import { newId } from "#src/crypto/ids.ts";

export type RefreshEvent = typeof refreshEvents.$inferSelect;

/** What happened to credentials, the newest first: on one account, or for one request. */
export function refreshEventsOf(
  db: Database,
  which: { readonly accountId: string } | { readonly requestId: string; readonly since: Date },
  most: number,
): Promise<RefreshEvent[]> {
  const fits =
    "accountId" in which
      ? eq(refreshEvents.accountId, which.accountId)
      : and(eq(refreshEvents.requestId, which.requestId), gt(refreshEvents.at, which.since));
  return db.select().from(refreshEvents).where(fits).orderBy(desc(refreshEvents.at)).limit(most);
}

/** The gateways that run on this database, and when each was seen last. */
export function liveReplicas(db: Database): Promise<(typeof replicas.$inferSelect)[]> {
  return db
    .select()
    .from(replicas)
    .where(gt(replicas.seenAt, sql`clock_timestamp() - interval '10 s'`))
    .orderBy(replicas.id);
}

export type OperatorAction = typeof operatorActions.$inferSelect;

/** Writes down what is about to be changed on the console; returns its id. */
export async function saveOperatorAction(
  db: Database,
  action: Pick<OperatorAction, "actor" | "action" | "about">,
  now: Date,
): Promise<string> {
  const id = newId(now);
  await db.insert(operatorActions).values({ id, ...action });
  return id;
}

/** How it has ended. */
export async function endOperatorAction(db: Database, id: string, outcome: string): Promise<void> {
  await db.update(operatorActions).set({ outcome }).where(eq(operatorActions.id, id));
}

/** The newest first. */
export function operatorActionsBefore(
  db: Database,
  { before, most }: { readonly before: string | undefined; readonly most: number },
): Promise<OperatorAction[]> {
  return db
    .select()
    .from(operatorActions)
    .where(before === undefined ? undefined : lt(operatorActions.id, before))
    .orderBy(desc(operatorActions.id))
    .limit(most);
}
