import { sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts, providerStates, refreshEvents } from "#db/schema/accounts.ts";
import type { Version } from "../journal/answers.ts";

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
