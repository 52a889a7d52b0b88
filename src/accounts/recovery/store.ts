import { and, eq, gt, inArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { accounts } from "#db/schema/accounts.ts";
import type { Version } from "../journal/answers.ts";
import { isCurrent, isFree, mostOpenAttempts } from "../refresh/store.ts";
import { openAttemptCount } from "../store.ts";

/** Attempts without an answer whose process is gone; their answers would be in this journal. */
export function openAttempts(db: Database, journal: string): Promise<Version[]> {
  return db
    .select({ id: accounts.id, generation: accounts.generation })
    .from(accounts)
    .where(and(eq(accounts.intentJournal, journal), gt(openAttemptCount, 0), isFree));
}

const judgeSeconds = 10;

/** Takes an open attempt, so that nobody asks while it is judged. False when somebody else has it. */
export async function claimAttempt(
  db: Database,
  version: Version,
  claim: { readonly holder: string; readonly journal: string },
): Promise<boolean> {
  const isOpen = and(eq(accounts.intentJournal, claim.journal), gt(openAttemptCount, 0), isFree);
  const claimed = await db
    .update(accounts)
    .set({
      leaseHolder: claim.holder,
      leaseUntil: sql`now() + ${judgeSeconds} * interval '1 second'`,
    })
    .where(and(isCurrent(version), isOpen))
    .returning({ id: accounts.id });
  return claimed.length === 1;
}

/** The provider was never asked: the attempt is taken back. */
export async function withdrawAttempt(
  db: Database,
  version: Version,
  holder: string,
): Promise<void> {
  await db
    .update(accounts)
    .set({
      intents: sql`greatest(${openAttemptCount} - 1, 0)`,
      intentJournal: null,
      leaseHolder: null,
      leaseUntil: null,
    })
    .where(and(isCurrent(version), eq(accounts.leaseHolder, holder)));
}

/** The provider may have been asked, and nobody has its answer. The attempt counts, and is closed; the lease stays ours. */
export async function markUnanswered(
  db: Database,
  version: Version,
  holder: string,
): Promise<void> {
  await db
    .update(accounts)
    .set({
      state: sql`case when ${accounts.state} = 'active' then 'ambiguous' else ${accounts.state} end`,
      lastError: "unanswered",
      intentJournal: null,
    })
    .where(and(isCurrent(version), eq(accounts.leaseHolder, holder)));
}

/** Gives back what `claimAttempt` took. */
export async function endClaim(db: Database, version: Version, holder: string): Promise<void> {
  await db
    .update(accounts)
    .set({ leaseHolder: null, leaseUntil: null })
    .where(and(isCurrent(version), eq(accounts.leaseHolder, holder)));
}

/** Leases of processes that are gone. */
export async function freeLeases(db: Database, holders: readonly string[]): Promise<void> {
  await db
    .update(accounts)
    .set({ leaseUntil: sql`now() - interval '1 second'` })
    .where(and(inArray(accounts.leaseHolder, [...holders]), gt(accounts.leaseUntil, sql`now()`)));
}

/**
 * Which of these accounts the database holds in an older generation than was once stored: it was restored
 * from a backup. Their refresh tokens have been used and are never sent; the generation goes up to the known
 * one, so that every journal takes what a person connects next for newer.
 */
export async function markRestored(
  db: Database,
  marks: readonly Version[],
): Promise<readonly string[]> {
  const json = JSON.stringify(marks);
  const rows = await db.execute<{ id: string }>(sql`
    update ${accounts} set state = case when state = 'revoking' then state else 'ambiguous' end,
      last_error = 'restored', intents = ${mostOpenAttempts}, intent_generation = mark.generation, lease_holder = null, lease_until = null,
      intent_journal = null, generation = mark.generation
    from jsonb_to_recordset(${json}::text::jsonb) as mark(id uuid, generation int)
    where accounts.id = mark.id and accounts.generation < mark.generation
      and accounts.kind = 'oauth' and accounts.state in ('active', 'ambiguous', 'revoking')
    returning accounts.id`);
  return rows.map(({ id }) => id);
}

/** Those of these ids that are accounts. */
export async function knownAccounts(
  db: Database,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const json = JSON.stringify(ids);
  const rows = await db.execute<{ id: string }>(sql`
    select id from ${accounts}
    where id in (select value::uuid from jsonb_array_elements_text(${json}::text::jsonb))`);
  return new Set(rows.map(({ id }) => id));
}
