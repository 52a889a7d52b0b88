import { inArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { tallies } from "#db/schema/guards.ts";

/** What one process has counted since it last said so. */
export type Told = {
  readonly key: string;
  readonly calls: number;
  /** Milliseconds that one call takes up; null where calls are added up until a period ends. */
  readonly stepMs: number | null;
  readonly most: number | null;
  readonly keepMs: number;
};

export type Level = {
  readonly key: string;
  /** Of a rate: how many milliseconds from now it is empty. Of a sum: how many calls. */
  readonly level: number;
};

/** By the clock of the database: those of replicas may differ. */
const nowMs = sql`(extract(epoch from now()) * 1000)`;

/** Adds what was counted here and returns what all have counted, in one statement. */
export async function tell(db: Database, told: readonly Told[]): Promise<readonly Level[]> {
  const json = JSON.stringify(told);
  return await db.execute<Level>(sql`
    insert into ${tallies} as t (key, level, most, expires_at)
    select r.key, case when r."stepMs" is null then r.calls else ${nowMs} + r.calls * r."stepMs" end, r.most,
      now() + r."keepMs" * interval '1 millisecond'
    from jsonb_to_recordset(${json}::text::jsonb)
      as r(key text, calls float8, "stepMs" float8, most int, "keepMs" float8)
    order by r.key
    on conflict (key) do update set expires_at = excluded.expires_at, most = excluded.most,
      level = case when excluded.most is null then greatest(t.level, ${nowMs}) + excluded.level - ${nowMs}
        else t.level + excluded.level end
    returning key, (case when most is null then level - ${nowMs} else level end)::float8 as level`);
}

/** What was counted under these keys is forgiven. */
export async function forgive(db: Database, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  // In the order in which others count: two that lock each other's rows would wait for ever.
  const json = JSON.stringify(keys);
  await db.execute(sql`
    delete from ${tallies} where key in (select key from ${tallies} where key in (
      select value from jsonb_array_elements_text(${json}::text::jsonb)) order by key for update)`);
}

type BudgetRow = { readonly key: string; readonly used: number; readonly most: number };

/** Every budget of a period that runs, the fullest first. */
export async function budgetRows(db: Database, most: number): Promise<readonly BudgetRow[]> {
  return await db.execute<BudgetRow>(sql`
    select key, level::int as used, most from ${tallies}
    where most is not null and expires_at > now() order by level / most desc limit ${most}`);
}

/** What is used under these keys. */
export async function usedUnder(
  db: Database,
  keys: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  if (keys.length === 0) return new Map();
  const rows = await db
    .select({ key: tallies.key, level: tallies.level })
    .from(tallies)
    .where(inArray(tallies.key, [...keys]));
  return new Map(rows.map(({ key, level }) => [key, level]));
}
