import { inArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { type Topic, publish } from "#db/topics.ts";
import { toolDefinitions, toolPolicies } from "#db/schema/guards.ts";
import { type Grant, endGrantAt } from "#src/oauth-server/grants/store.ts";
import { policyChanged } from "#src/oauth-server/caller.ts";

/** What is taken away from a permission. */
type Narrowing = {
  /** Under which name it is kept. */
  readonly key: string;
  /** Whose callers have to learn of it. */
  readonly subject: string;
  /** Names; null takes none away. */
  readonly allow: readonly string[] | null;
  readonly deny: readonly string[];
};

/** Takes something away from a permission, sets its end, or both: all of it or nothing. Every replica is told with the commit. */
export async function saveNarrowing(
  db: Database,
  narrowing: Narrowing | undefined,
  end?: { readonly grant: Grant; readonly expiresAt: Date; readonly topic: Topic },
): Promise<void> {
  await db.transaction(async (transaction) => {
    if (narrowing !== undefined) await addNarrowing(transaction, narrowing);
    if (end !== undefined) await endGrantAt(transaction, end.grant, end);
  });
}

type Transaction = Parameters<Parameters<Database["transaction"]>[0]>[0];

/** Adds to what was narrowed before, in one statement: of two that come together both hold. */
async function addNarrowing(
  transaction: Transaction,
  { key, subject, allow, deny }: Narrowing,
): Promise<void> {
  await transaction.execute(sql`
    insert into ${toolPolicies} as p (subject, allow, deny)
    values (${key}, ${textArray(allow)}, ${textArray(deny)})
    on conflict (subject) do update set at = now(),
      allow = case when excluded.allow is null then p.allow when p.allow is null then excluded.allow
        else array(select unnest(p.allow) intersect select unnest(excluded.allow)) end,
      deny = array(select unnest(p.deny) union select unnest(excluded.deny))`);
  await publish(transaction, [policyChanged(subject)]);
}

/** What persons have taken away, by the names under which it is kept. */
export async function narrowingsOf(
  db: Database,
  keys: readonly string[],
): Promise<ReadonlyMap<string, Pick<Narrowing, "allow" | "deny">>> {
  if (keys.length === 0) return new Map();
  const { subject, allow, deny } = toolPolicies;
  const rows = await db
    .select({ subject, allow, deny })
    .from(toolPolicies)
    .where(inArray(subject, [...keys]));
  return new Map(rows.map((row) => [row.subject, row]));
}

function textArray(values: readonly string[] | null) {
  return values === null
    ? sql`null::text[]`
    : sql`array(select jsonb_array_elements_text(${JSON.stringify(values)}::text::jsonb))`;
}

/** The names that an upstream's lists have shown, in order. */
export async function shownTools(
  db: Database,
  { upstream, most }: { readonly upstream: string; readonly most: number },
): Promise<readonly string[]> {
  const { upstream: of, name } = toolDefinitions;
  const rows = await db.execute<{ name: string }>(sql`
    select distinct ${name} from ${toolDefinitions} where ${of} = ${upstream} order by ${name} limit ${most}`);
  return rows.map((row) => row.name);
}

/** Characters; longer ones are not read for the sake of a title. */
const longestRead = 16_384;

/** The newest approved definition of each of these tools, as JSON, the long ones aside. */
export async function approvedDefinitions(
  db: Database,
  tools: readonly { readonly upstream: string; readonly name: string }[],
): Promise<readonly { readonly upstream: string; readonly name: string; readonly text: string }[]> {
  if (tools.length === 0) return [];
  const wanted = sql`jsonb_to_recordset(${JSON.stringify(tools)}::text::jsonb) as w(upstream text, name text)`;
  return await db.execute<{ upstream: string; name: string; text: string }>(sql`
    select distinct on (d.upstream, d.name) d.upstream, d.name, d.definition as text
    from ${toolDefinitions} d join ${wanted} on w.upstream = d.upstream and w.name = d.name
    where d.state = 'approved' and length(d.definition) <= ${longestRead}
    order by d.upstream, d.name, d.seen_at desc`);
}
