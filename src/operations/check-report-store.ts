import { and, desc, eq, notInArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { checkReports } from "#db/schema/operations.ts";
import { newId } from "#src/crypto/ids.ts";

type Row = typeof checkReports.$inferSelect;
/** A report without its text. `isRunning`: it is at work, wherever it was started. */
export type CheckReport = Omit<Row, "report" | "endedAt"> & { readonly isRunning: boolean };

/** So many are kept. */
export const mostCheckReports = 50;

const { id, at, by, status, counts, extent, endedAt } = checkReports;
/** What has not ended by then has ended without a report. Not by `now()`: one may have begun while its transaction waited. */
const isRunning = sql<boolean>`${endedAt} is null
  and ${at} between clock_timestamp() - interval '3 minutes' and clock_timestamp()`;

/** Notes that a check begins; returns its id. What is older than the newest fifty goes. */
export async function beginCheckReport(db: Database, asker: string, now: Date): Promise<string> {
  return await db.transaction((transaction) => begin(transaction, asker, now));
}

/** The same, unless one is at work: then undefined. Of two that come together one begins. */
export async function beginOnlyCheck(
  db: Database,
  asker: string,
  now: Date,
): Promise<string | undefined> {
  return await db.transaction(async (transaction) => {
    await transaction.execute(sql`lock table ${checkReports} in share row exclusive mode`);
    const [running] = await transaction.select({ id }).from(checkReports).where(isRunning).limit(1);
    return running === undefined ? await begin(transaction, asker, now) : undefined;
  });
}

async function begin(
  transaction: Pick<Database, "insert" | "delete" | "select">,
  asker: string,
  now: Date,
): Promise<string> {
  const begun = newId(now);
  await transaction.insert(checkReports).values({ id: begun, by: asker });
  const newest = transaction
    .select({ id })
    .from(checkReports)
    .orderBy(desc(at), desc(id))
    .limit(mostCheckReports);
  await transaction.delete(checkReports).where(notInArray(id, newest));
  return begun;
}

/** What it has found. False when it is not kept any more. */
export async function saveCheckReport(
  db: Database,
  begun: string,
  found: Pick<Row, "status" | "counts" | "extent" | "report">,
): Promise<boolean> {
  const ended = { ...found, endedAt: sql`now()` };
  const saved = await db.update(checkReports).set(ended).where(eq(id, begun)).returning({ id });
  return saved.length === 1;
}

/** Notes that a check has ended, with or without a report; false where it is without one. */
export async function endCheck(db: Database, begun: string): Promise<boolean> {
  const [ended] = await db
    .update(checkReports)
    .set({ endedAt: sql`coalesce(${endedAt}, now())` })
    .where(eq(id, begun))
    .returning({ status });
  return ended !== undefined && ended.status !== null;
}

/** The newest first. */
export function newestCheckReports(db: Database): Promise<CheckReport[]> {
  return db
    .select({ id, at, by, status, counts, extent, isRunning })
    .from(checkReports)
    .orderBy(desc(at), desc(id))
    .limit(mostCheckReports);
}

/** One report with its text. */
export async function checkReportWith(db: Database, wanted: string): Promise<Row | undefined> {
  const [found] = await db
    .select()
    .from(checkReports)
    .where(and(eq(id, wanted), sql`${checkReports.report} is not null`));
  return found;
}
