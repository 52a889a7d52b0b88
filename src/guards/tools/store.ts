import { and, desc, eq, gt, inArray, isNull, ne, or, sql } from "drizzle-orm";
import { recordEndings } from "#db/endings.ts";
import type { Database } from "#db/open.ts";
import { reviewKeys, toolDefinitions, toolLists, toolPolicies } from "#db/schema/guards.ts";
import type { ToolPolicy } from "#src/catalog/tool-rules.ts";

export type DefinitionRow = typeof toolDefinitions.$inferSelect;
export type SeenDefinition = Pick<DefinitionRow, "name" | "hash" | "definition" | "nature">;

/** What tells every replica that an upstream's definitions have changed. */
export function definitionsChanged(upstream: string): string {
  return `tools:${upstream}`;
}

/** Every definition without its text, the one seen last of each name first. */
export function allDefinitions(db: Database) {
  const { upstream, name, hash, state, seenAt, nature, decidedAt } = toolDefinitions;
  return db
    .select({ upstream, name, hash, state, nature, decidedAt })
    .from(toolDefinitions)
    .orderBy(upstream, name, desc(seenAt));
}

/** The upstreams whose list has been seen to its end, or for an hour. */
export async function listedUpstreams(db: Database): Promise<readonly string[]> {
  const rows = await db
    .select({ upstream: toolLists.upstream })
    .from(toolLists)
    // Who goes on with new pages for ever is not believed for ever.
    .where(sql`${toolLists.isComplete} or ${toolLists.firstSeenAt} < now() - interval '1 hour'`);
  return rows.map(({ upstream }) => upstream);
}

export type SeenList = {
  readonly upstream: string;
  readonly definitions: readonly SeenDefinition[];
  /** No page follows. */
  readonly isLast: boolean;
  /** Everything is approved as it comes. */
  readonly isTrusting: boolean;
};

/** An upstream that shows ever new definitions does not fill the database. */
const mostOfOne = 2000;

/**
 * Writes down what was shown. What an upstream shows first, within an hour and up to the end of its list, is
 * approved; after that a name or a definition that is new is held. One at a time for each upstream.
 */
export async function saveDefinitions(db: Database, seen: SeenList): Promise<void> {
  const { upstream, definitions, isLast, isTrusting } = seen;
  const json = JSON.stringify(definitions);
  await db.transaction(async (transaction) => {
    await transaction.execute(lockOf(upstream));
    await transaction.insert(toolLists).values({ upstream }).onConflictDoNothing();
    await transaction.execute(sql`
      with list as (
        select not is_complete and first_seen_at > now() - interval '1 hour' as first_use
        from ${toolLists} where upstream = ${upstream}),
      shown as (
        select * from jsonb_to_recordset(${json}::text::jsonb) as d(name text, hash text, definition text, nature text)
        where (select count(*) from ${toolDefinitions} where upstream = ${upstream}) < ${mostOfOne}
          or exists (select 1 from ${toolDefinitions} k
            where k.upstream = ${upstream} and k.name = d.name and k.hash = d.hash))
      insert into ${toolDefinitions} (upstream, name, hash, definition, nature, state, decided_at, decided_by)
      select ${upstream}, s.name, s.hash, s.definition, s.nature,
        case when v.verdict is null then 'held' else 'approved' end,
        case when v.verdict is null then null else now() end, v.verdict
      from shown s, list l, lateral (select case when ${isTrusting} then 'setting'
        when l.first_use and not exists (select 1 from ${toolDefinitions} k
          where k.upstream = ${upstream} and k.name = s.name) then 'first_use' end as verdict) v
      on conflict (upstream, name, hash) do update set seen_at = now()`);
    if (isLast) {
      await transaction
        .update(toolLists)
        .set({ isComplete: true })
        .where(eq(toolLists.upstream, upstream));
    }
    await recordEndings(transaction, [definitionsChanged(upstream)]);
  });
}

/** Whoever writes definitions of an upstream does so alone. */
function lockOf(upstream: string) {
  return sql`select pg_advisory_xact_lock(hashtextextended(${`tools ${upstream}`}, 7236591))`;
}

/** Definitions of an upstream, or of one tool, or only of tools of which one waits; the newest first. */
export function definitionsOf(
  db: Database,
  which: {
    readonly upstream?: string | undefined;
    readonly name?: string | undefined;
    readonly isWaiting?: boolean;
  },
): Promise<DefinitionRow[]> {
  const { upstream, name, isWaiting } = which;
  return db
    .select()
    .from(toolDefinitions)
    .where(
      and(
        upstream === undefined ? undefined : eq(toolDefinitions.upstream, upstream),
        name === undefined ? undefined : eq(toolDefinitions.name, name),
        isWaiting === true
          ? sql`exists (select 1 from ${toolDefinitions} w where w.upstream = ${toolDefinitions.upstream}
              and w.name = ${toolDefinitions.name} and w.state = 'held' and w.decided_at is null)`
          : undefined,
      ),
    )
    .orderBy(toolDefinitions.upstream, toolDefinitions.name, desc(toolDefinitions.seenAt));
}

/** What somebody has decided about definitions that they have looked at. */
export type Decision = {
  readonly upstream: string;
  /** Of the definitions: nothing that has come since is decided. */
  readonly hashes: readonly string[];
  readonly state: DefinitionRow["state"];
  readonly by: string;
  /** Only of those that nobody has decided yet. */
  readonly isWaiting?: boolean;
};

/** Approves definitions, or holds them on purpose. Returns the names of those that were not so before. */
export async function decideDefinitions(
  db: Database,
  decided: Decision,
): Promise<readonly string[]> {
  const { upstream, hashes, state, by, isWaiting } = decided;
  return await db.transaction(async (transaction) => {
    await transaction.execute(lockOf(upstream));
    const rows = await transaction
      .update(toolDefinitions)
      .set({ state, decidedAt: sql`now()`, decidedBy: by })
      .where(
        and(
          eq(toolDefinitions.upstream, upstream),
          inArray(toolDefinitions.hash, [...hashes]),
          isWaiting === true
            ? and(eq(toolDefinitions.state, "held"), isNull(toolDefinitions.decidedAt))
            : or(ne(toolDefinitions.state, state), isNull(toolDefinitions.decidedAt)),
        ),
      )
      .returning({ name: toolDefinitions.name });
    if (rows.length > 0) await recordEndings(transaction, [definitionsChanged(upstream)]);
    return [...new Set(rows.map((row) => row.name))].toSorted();
  });
}

export type ReviewKey = typeof reviewKeys.$inferInsert;

export async function saveReviewKey(db: Pick<Database, "insert">, key: ReviewKey): Promise<void> {
  await db.insert(reviewKeys).values(key);
}

/** Takes a link and puts a browser's key in its place. False when the link is unknown, was used or is too old. */
export async function useReviewLink(
  db: Database,
  used: { readonly link: Uint8Array; readonly browser: ReviewKey; readonly now: Date },
): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    const taken = await transaction
      .delete(reviewKeys)
      .where(openKey("link", used.link, used.now))
      .returning({ kind: reviewKeys.kind });
    if (taken.length === 0) return false;
    await saveReviewKey(transaction, used.browser);
    return true;
  });
}

export async function isReviewKey(
  db: Database,
  ...key: [kind: ReviewKey["kind"], fingerprint: Uint8Array, now: Date]
): Promise<boolean> {
  return (await db.$count(reviewKeys, openKey(...key))) > 0;
}

function openKey(kind: ReviewKey["kind"], fingerprint: Uint8Array, now: Date) {
  return and(
    eq(reviewKeys.fingerprint, fingerprint),
    eq(reviewKeys.kind, kind),
    gt(reviewKeys.expiresAt, now),
  );
}

export type PolicyRow = typeof toolPolicies.$inferSelect;

export function allPolicies(db: Database): Promise<PolicyRow[]> {
  return db.select().from(toolPolicies).orderBy(toolPolicies.subject);
}

export async function savePolicy(
  db: Pick<Database, "insert">,
  subject: string,
  policy: ToolPolicy,
): Promise<void> {
  const { allow, deny, approve } = policy;
  const set = {
    allow: allow === null ? null : [...allow],
    deny: [...deny],
    approve: [...approve],
  };
  await db
    .insert(toolPolicies)
    .values({ subject, ...set })
    .onConflictDoUpdate({ target: toolPolicies.subject, set: { ...set, at: sql`now()` } });
}

/** False when there was none. */
export async function removePolicy(db: Database, subject: string): Promise<boolean> {
  const removed = await db
    .delete(toolPolicies)
    .where(eq(toolPolicies.subject, subject))
    .returning({ subject: toolPolicies.subject });
  return removed.length === 1;
}
