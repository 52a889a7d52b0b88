import { sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { until } from "./until.ts";

/** Resolves when every gateway that runs on this database has acted upon everything that was ended or switched so far. */
export async function allActed(db: Database): Promise<void> {
  const open = async () => {
    const [row] = await db.execute<{ open: number }>(sql`
      select count(*)::int as open
      from endings join replicas on seen_at > clock_timestamp() - interval '3 s'
      where at > clock_timestamp() - interval '10 s' and not exists (
        select 1 from acknowledgements a where a.ending_id = endings.id and a.replica = replicas.id)`);
    return row?.open === 0;
  };
  await until(open, "a gateway has not acted upon what was ended or switched");
}
