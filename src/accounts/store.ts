import { and, asc, desc, eq, getTableColumns, isNull, ne, notInArray, sql } from "drizzle-orm";
import { endGrantsWhere } from "#db/grants.ts";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { accounts, providerStates, refreshEvents } from "#db/schema/accounts.ts";
import { grants, sessions } from "#db/schema/agents.ts";
import type { Version } from "./journal/answers.ts";

export type Account = typeof accounts.$inferSelect;
/** With the database's clock when it was read, so that replicas whose clocks differ agree about its dates. */
export type ReadAccount = Account & { readonly readAt: Date };

type Lifetimes = Pick<Account, "accessExpiresAt" | "refreshExpiresAt" | "refreshFrom">;
export type NewAccount = Pick<
  Account,
  "id" | "personId" | "provider" | "sellerId" | "kind" | "accessToken" | "refreshToken"
> &
  Lifetimes &
  Pick<Account, "label" | "site" | "scope">;

/** What replaces an account's credential; every replacement is a new generation. */
export type NewCredential = Pick<Account, "accessToken" | "refreshToken"> &
  Lifetimes &
  Partial<Pick<Account, "scope" | "kind" | "label">>;

/** Whether its person has disconnected it here, even if the provider has not confirmed yet. */
export function isDisconnected({ state }: Pick<Account, "state">): boolean {
  return state === "revoking" || state === "revoked";
}

/** The same in SQL. */
export const isConnected = notInArray(accounts.state, ["revoking", "revoked"]);

/** `PROVIDER:SELLER`, as commands and pages name an account. */
export const accountLabel = sql<string>`${accounts.provider} || ':' || ${accounts.sellerId}`;

/** Attempts for the generation that is stored; those for an older one have been answered somehow. */
export const openAttemptCount = sql<number>`case when ${accounts.intentGeneration} = ${accounts.generation} then ${accounts.intents} else 0 end`;

/** All columns of an account, and the moment. */
export const readColumns = {
  ...getTableColumns(accounts),
  intents: openAttemptCount,
  readAt: sql<Date>`now()`.mapWith(accounts.updatedAt),
};

export async function accountById(db: Database, id: string): Promise<ReadAccount | undefined> {
  const [row] = await db.select(readColumns).from(accounts).where(eq(accounts.id, id));
  return row;
}

/** The one account of a seller that is not revoked. */
export async function liveAccount(
  db: Database,
  seller: { provider: string; sellerId: string },
): Promise<Account | undefined> {
  const [row] = await db
    .select()
    .from(accounts)
    .where(
      and(
        eq(accounts.provider, seller.provider),
        eq(accounts.sellerId, seller.sellerId),
        ne(accounts.state, "revoked"),
      ),
    );
  return row;
}

/** The accounts that were connected last. */
export function liveAccounts(db: Database, most: number): Promise<Account[]> {
  return db
    .select()
    .from(accounts)
    .where(ne(accounts.state, "revoked"))
    .orderBy(desc(accounts.createdAt))
    .limit(most);
}

export function accountsOf(db: Database, personId: string): Promise<Account[]> {
  return db
    .select()
    .from(accounts)
    .where(eq(accounts.personId, personId))
    .orderBy(asc(accounts.createdAt));
}

/** Adds an account; false when the seller already has a live one (somebody was faster). */
export async function addAccount(db: Database, account: NewAccount): Promise<boolean> {
  const added = await db
    .insert(accounts)
    .values({ ...account, state: "active" })
    .onConflictDoNothing()
    .returning({ id: accounts.id });
  return added.length === 1;
}

/** What a new credential puts behind us. */
export const untroubled = {
  failures: 0,
  failingSince: null,
  exhaustedAt: null,
  retryAt: null,
  lastError: null,
  leaseHolder: null,
  leaseUntil: null,
  intents: 0,
  intentJournal: null,
  updatedAt: sql`now()`,
} as const;

/**
 * More than any connection is refreshed: a credential that a person brings is newer than all that any journal knows.
 * The database's check `accounts_oauth_has_refresh_token` knows this number.
 */
const newLine = 100_000;

/**
 * A person connected the account again: whatever was stored is replaced, trouble is forgotten. Returns the new
 * generation: far above the stored one and `known`, the newest that our journal has seen, so that it is above
 * what other journals know too.
 */
export async function replaceCredential(
  db: Database,
  version: { readonly id: string; readonly known: number },
  credential: NewCredential,
): Promise<number | undefined> {
  const [row] = await db
    .update(accounts)
    .set({
      ...credential,
      ...untroubled,
      state: "active",
      generation: sql`(greatest(${accounts.generation}, ${version.known}) / ${newLine} + 1) * ${newLine}`,
    })
    .where(and(eq(accounts.id, version.id), ne(accounts.state, "revoked")))
    .returning({ generation: accounts.generation });
  return row?.generation;
}

/** Ends everything that agents hold for an account; returns the topics of what ended. */
export async function endAccessTo(
  db: Database,
  accountId: string,
  now: Date,
): Promise<readonly Topic[]> {
  return await db.transaction((transaction) => endAccessIn(transaction, accountId, now));
}

/** The same, within a transaction that does more. */
export async function endAccessIn(
  transaction: Pick<Database, "execute" | "update" | "delete">,
  accountId: string,
  now: Date,
): Promise<readonly Topic[]> {
  const closed = await transaction
    .update(sessions)
    .set({ endedAt: now })
    .where(and(eq(sessions.accountId, accountId), isNull(sessions.endedAt)))
    .returning({ id: sessions.id });
  const topics = closed.map(({ id }): Topic => `session:${id}`);
  await publish(transaction, topics);
  const ended = await endGrantsWhere(transaction, eq(grants.accountId, accountId), now);
  return [...topics, ...ended];
}

/**
 * Notes that a generation is about to be sent. False when it is no longer the current one: whoever found no
 * answer in the journal must look here afterwards, because an answer leaves the journal only for the row.
 */
export async function saveRefreshStart(
  db: Database,
  version: Version,
  event: { readonly id: string; readonly requestId: string },
): Promise<boolean> {
  const rows = await db.execute(sql`
    insert into ${refreshEvents} (id, account_id, event, generation, request_id)
    select ${event.id}::uuid, id, 'refresh_start', generation, ${event.requestId}
    from ${accounts} where id = ${version.id}::uuid and generation = ${version.generation}
    returning id`);
  return rows.length === 1;
}

export async function saveRefreshEvent(
  db: Database,
  event: typeof refreshEvents.$inferInsert,
): Promise<void> {
  await db.insert(refreshEvents).values(event);
}

/** How a provider has answered all replicas: what concerns the provider, not one account's token. */
export type ProviderLately = {
  readonly provider: string;
  /** Within the last day. */
  readonly lastSuccess: Date | null;
  readonly lastFailure: Date | null;
  /** It failed so often in a row that nobody asks it for a while. */
  readonly isClosed: boolean;
  /** It refuses this gateway as an application, as it was registered then: see `tagOfRegistration`. */
  readonly refusedRegistration: string | null;
};

/** What refreshes of the last day have met, by provider, and which providers are not asked now. */
export async function providersLately(db: Database): Promise<readonly ProviderLately[]> {
  const rows = await db.execute<{
    provider: string;
    succeeded: string | null;
    failed: string | null;
    closed: boolean | null;
    refused: string | null;
  }>(sql`
    with seen as (
      select a.provider, to_json(max(e.at) filter (where e.event in ('refresh_success', 'refresh_recovered'))) #>> '{}' as succeeded,
        to_json(max(e.at) filter (where e.event = 'refresh_fail'
          and (e.provider_status is null or e.provider_status >= 500 or e.provider_status in (408, 429)))) #>> '{}' as failed
      from ${refreshEvents} e join ${accounts} a on a.id = e.account_id
      where e.at > now() - interval '1 day' group by a.provider),
    states as (
      select provider, closed_until > now() as closed, refused_registration as refused from ${providerStates})
    select coalesce(seen.provider, states.provider) as provider, succeeded, failed, closed, refused
    from seen full join states on states.provider = seen.provider`);
  return rows.map(({ provider, succeeded, failed, closed, refused }) => ({
    provider,
    lastSuccess: succeeded === null ? null : new Date(succeeded),
    lastFailure: failed === null ? null : new Date(failed),
    isClosed: closed === true,
    refusedRegistration: refused,
  }));
}
