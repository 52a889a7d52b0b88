import { and, desc, eq, gt, isNull, isNotNull, lt, or, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts, refreshEvents } from "#db/schema/accounts.ts";
import { grants, sessions } from "#db/schema/agents.ts";
import { operatorActions, replicas } from "#db/schema/operations.ts";
import { isOpenGrant } from "#src/oauth-server/grants/store.ts";
import { newId, readId } from "#src/crypto/ids.ts";

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

export type OpenGrant = Pick<
  typeof grants.$inferSelect,
  | "id"
  | "policyId"
  | "clientId"
  | "clientName"
  | "upstream"
  | "scope"
  | "onlyReading"
  | "activatedAt"
> & { readonly account: string };

const seller = sql<string>`${accounts.provider} || ':' || ${accounts.sellerId}`;

/** Permissions that hold, the newest first, a page from before an id. */
export function openGrantsBefore(
  db: Database,
  { before, most }: { readonly before: string | undefined; readonly most: number },
): Promise<OpenGrant[]> {
  const { id, policyId, clientId, clientName, upstream, scope, onlyReading, activatedAt } = grants;
  return db
    .select({
      id,
      policyId,
      clientId,
      clientName,
      upstream,
      scope,
      onlyReading,
      activatedAt,
      account: seller,
    })
    .from(grants)
    .innerJoin(accounts, eq(accounts.id, grants.accountId))
    .where(
      and(isOpenGrant, isNotNull(activatedAt), before === undefined ? undefined : lt(id, before)),
    )
    .orderBy(desc(id))
    .limit(most);
}

export type OpenSession = Pick<
  typeof sessions.$inferSelect,
  "id" | "platform" | "createdAt" | "expiresAt"
> & { readonly account: string };

/** Sessions that are open, the newest first, a page from before an id. */
export function openSessionsBefore(
  db: Database,
  { before, most }: { readonly before: string | undefined; readonly most: number },
): Promise<OpenSession[]> {
  const { id, platform, createdAt, expiresAt } = sessions;
  return db
    .select({ id, platform, createdAt, expiresAt, account: seller })
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

export type AccountRow = Pick<
  typeof accounts.$inferSelect,
  | "id"
  | "provider"
  | "sellerId"
  | "label"
  | "site"
  | "state"
  | "accessExpiresAt"
  | "lastError"
  | "createdAt"
>;

/** By its id, its seller's, or its label. */
function namedAs(named: string) {
  const id = readId(named);
  if (id !== undefined) return eq(accounts.id, id);
  return or(eq(accounts.sellerId, named), eq(accounts.label, named));
}

/** Accounts without their credentials, the newest first, a page from before an id. */
export function accountsBefore(
  db: Database,
  which: {
    readonly state: AccountRow["state"] | undefined;
    /** Of a seller whose id, or an account whose id it is. */
    readonly named: string | undefined;
    readonly before: string | undefined;
    readonly most: number;
  },
): Promise<AccountRow[]> {
  const { id, provider, sellerId, label, site, state, accessExpiresAt, lastError, createdAt } =
    accounts;
  return db
    .select({ id, provider, sellerId, label, site, state, accessExpiresAt, lastError, createdAt })
    .from(accounts)
    .where(
      and(
        which.state === undefined ? undefined : eq(state, which.state),
        which.named === undefined ? undefined : namedAs(which.named),
        which.before === undefined ? undefined : lt(id, which.before),
      ),
    )
    .orderBy(desc(id))
    .limit(which.most);
}
