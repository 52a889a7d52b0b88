import { and, desc, eq, gt, inArray, isNull, ne, or, sql } from "drizzle-orm";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { toolDefinitions, toolLists, toolPolicies } from "#db/schema/guards.ts";
import type { ToolPolicy } from "#src/upstreams/tool-rules.ts";
import { policyChanged } from "#src/oauth-server/caller.ts";

export type DefinitionRow = typeof toolDefinitions.$inferSelect;
type SeenDefinition = Pick<DefinitionRow, "name" | "hash" | "definition" | "nature">;

/** What tells every replica that an upstream's definitions have changed. */
export function definitionsChanged(upstream: string): Topic {
  return `tools:${upstream}`;
}

/** Every definition without its text, the one seen last of each name first. */
export function allDefinitions(db: Database) {
  const { upstream, name, hash, state, seenAt, nature, decidedAt } = toolDefinitions;
  return (
    db
      .select({ upstream, name, hash, state, nature, decidedAt })
      .from(toolDefinitions)
      // Of two that were shown together, the one that is held decides.
      .orderBy(upstream, name, desc(seenAt), desc(state))
  );
}

/** The newest definition of each tool of an upstream, without its text, by name from behind one. */
export function knownDefinitions(
  db: Database,
  { upstream: of, after, most }: { upstream: string; after: string; most: number },
) {
  const { upstream, name, state, seenAt, nature } = toolDefinitions;
  return db
    .selectDistinctOn([name], { upstream, name, state, nature })
    .from(toolDefinitions)
    .where(and(eq(upstream, of), gt(name, after)))
    .orderBy(name, desc(seenAt), desc(state))
    .limit(most);
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

type SeenList = {
  readonly upstream: string;
  readonly definitions: readonly SeenDefinition[];
  /** No page follows. */
  readonly isLast: boolean;
  /** Everything is approved as it comes. */
  readonly isTrusting: boolean;
};

/** An upstream that shows ever new tools, or definitions of one, does not fill the database. */
const [mostTools, mostVersions] = [2000, 5];

/**
 * Writes down what was shown. What an upstream shows first, within an hour and up to the end of its list, is
 * approved; after that a name or a definition that is new is held. One at a time for each upstream.
 * Returns the hashes of tools beyond the two thousandth, which are not written down. Of a known tool the
 * newest is: it takes the place of the oldest that nobody has decided about.
 */
export async function saveDefinitions(db: Database, seen: SeenList): Promise<readonly string[]> {
  const { upstream, definitions, isLast, isTrusting } = seen;
  const json = JSON.stringify(definitions);
  const shown = sql`jsonb_to_recordset(${json}::text::jsonb) as d(name text, hash text, definition text, nature text)`;
  return await db.transaction(async (transaction) => {
    await transaction.execute(lockOf(upstream));
    await transaction.insert(toolLists).values({ upstream }).onConflictDoNothing();
    const written = await transaction.execute<{ hash: string }>(sql`
      with list as (
        select not is_complete and first_seen_at > now() - interval '1 hour' as first_use
        from ${toolLists} where upstream = ${upstream}),
      known as (select distinct name from ${toolDefinitions} where upstream = ${upstream}),
      fresh as (select name, row_number() over (order by name) as place from (
        select distinct name from ${shown} where name not in (select name from known)) f)
      insert into ${toolDefinitions} (upstream, name, hash, definition, nature, state, decided_at, decided_by)
      select ${upstream}, d.name, d.hash, d.definition, d.nature,
        case when v.verdict is null then 'held' else 'approved' end,
        case when v.verdict is null then null else now() end, v.verdict
      from ${shown} cross join list l left join fresh f on f.name = d.name,
      lateral (select case when ${isTrusting} then 'setting'
        when l.first_use and f.name is not null then 'first_use' end as verdict) v
      where f.place is null or f.place <= ${mostTools} - (select count(*) from known)
      on conflict (upstream, name, hash) do update set seen_at = now() returning hash`);
    await transaction.execute(sql`
      delete from ${toolDefinitions} t using (
        select name, hash, row_number() over (partition by name order by seen_at desc) as place
        from ${toolDefinitions}
        where upstream = ${upstream} and (decided_at is null or decided_by = 'setting')
          and name in (select name from ${shown})) old
      where t.upstream = ${upstream} and t.name = old.name and t.hash = old.hash and old.place > ${mostVersions}`);
    if (isLast) {
      await transaction
        .update(toolLists)
        .set({ isComplete: true })
        .where(eq(toolLists.upstream, upstream));
    }
    await publish(transaction, [definitionsChanged(upstream)]);
    const kept = new Set(written.map(({ hash }) => hash));
    return definitions.map(({ hash }) => hash).filter((hash) => !kept.has(hash));
  });
}

/** Whoever writes definitions of an upstream does so alone. */
function lockOf(upstream: string) {
  return sql`select pg_advisory_xact_lock(hashtextextended(${`tools ${upstream}`}, 7236591))`;
}

/** Definitions of an upstream, or of one tool; the newest first. */
export function definitionsOf(
  db: Database,
  which: {
    readonly upstream?: string | undefined;
    readonly name?: string | undefined;
    /** Only of so many tools of each upstream of which a definition waits. */
    readonly mostWaiting?: number | undefined;
  },
): Promise<DefinitionRow[]> {
  const { upstream, name, mostWaiting } = which;
  return db
    .select()
    .from(toolDefinitions)
    .where(
      and(
        upstream === undefined ? undefined : eq(toolDefinitions.upstream, upstream),
        name === undefined ? undefined : eq(toolDefinitions.name, name),
        mostWaiting === undefined
          ? undefined
          : sql`(${toolDefinitions.upstream}, ${toolDefinitions.name}) in (select w.upstream, w.name from (
              select upstream, name, dense_rank() over (partition by upstream order by name) as place
              from ${toolDefinitions} where state = 'held' and decided_at is null) w
              where w.place <= ${mostWaiting})`,
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
    if (rows.length > 0) await publish(transaction, [definitionsChanged(upstream)]);
    return [...new Set(rows.map((row) => row.name))].toSorted();
  });
}

/** What a definition calls its tool. */
export async function definitionName(
  db: Database,
  which: { readonly upstream: string; readonly hash: string },
): Promise<string | undefined> {
  const { upstream, hash, name } = toolDefinitions;
  const [row] = await db
    .select({ name })
    .from(toolDefinitions)
    .where(and(eq(upstream, which.upstream), eq(hash, which.hash)))
    .limit(1);
  return row?.name;
}

/** How many definitions wait for somebody to look at them. */
export async function countWaiting(db: Database): Promise<number> {
  const { state, decidedAt } = toolDefinitions;
  return await db.$count(toolDefinitions, and(eq(state, "held"), isNull(decidedAt)));
}

type PolicyRow = typeof toolPolicies.$inferSelect;

export function allPolicies(db: Database): Promise<PolicyRow[]> {
  return db.select().from(toolPolicies).orderBy(toolPolicies.subject);
}

/** Replaces the policy of a subject, and tells every replica with the commit. */
export async function savePolicy(db: Database, subject: string, policy: ToolPolicy): Promise<void> {
  const { allow, deny, approve } = policy;
  const set = {
    allow: allow === null ? null : [...allow],
    deny: [...deny],
    approve: [...approve],
  };
  await db.transaction(async (transaction) => {
    await transaction
      .insert(toolPolicies)
      .values({ subject, ...set })
      .onConflictDoUpdate({ target: toolPolicies.subject, set: { ...set, at: sql`now()` } });
    await publish(transaction, [policyChanged(subject)]);
  });
}

/** Removes the policy of a subject, and tells every replica with the commit; false when there was none. */
export async function removePolicy(db: Database, subject: string): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    const removed = await transaction
      .delete(toolPolicies)
      .where(eq(toolPolicies.subject, subject))
      .returning({ subject: toolPolicies.subject });
    if (removed.length === 1) await publish(transaction, [policyChanged(subject)]);
    return removed.length === 1;
  });
}
