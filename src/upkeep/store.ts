import { sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/once.ts";

const pingMs = 2000;

/** Whether the database answers. Failures: `database_unavailable`. */
export async function pingDatabase(db: Database): Promise<void> {
  const late = () => new Failure("database_unavailable");
  await within(pingMs, Promise.resolve(db.execute(sql`select 1`)), late);
}
