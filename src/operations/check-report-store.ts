import { desc, eq, notInArray } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { checkReports } from "#db/schema/operations.ts";
import { newId } from "#src/crypto/ids.ts";

type Row = typeof checkReports.$inferSelect;
/** A report without its text; `status` is null while it runs, and where it has ended without one. */
export type CheckReport = Omit<Row, "report">;

/** So many are kept. */
export const mostCheckReports = 50;

const { id, at, by, status, counts } = checkReports;

/** Notes that a check begins; returns its id. What is older than the newest fifty goes. */
export async function beginCheckReport(db: Database, asker: string, now: Date): Promise<string> {
  const begun = newId(now);
  await db.insert(checkReports).values({ id: begun, by: asker });
  const newest = db.select({ id }).from(checkReports).orderBy(desc(id)).limit(mostCheckReports);
  await db.delete(checkReports).where(notInArray(id, newest));
  return begun;
}

/** What it has found. */
export async function endCheckReport(
  db: Database,
  begun: string,
  ended: Pick<Row, "status" | "counts" | "report">,
): Promise<void> {
  await db.update(checkReports).set(ended).where(eq(id, begun));
}

/** The newest first, so many at most. */
export function newestCheckReports(
  db: Database,
  most: number = mostCheckReports,
): Promise<CheckReport[]> {
  return db.select({ id, at, by, status, counts }).from(checkReports).orderBy(desc(id)).limit(most);
}

/** One report with its text. */
export async function checkReportWith(db: Database, wanted: string): Promise<Row | undefined> {
  const [found] = await db.select().from(checkReports).where(eq(id, wanted));
  return found;
}
