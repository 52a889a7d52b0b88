import { and, eq, gt, inArray, sql } from "drizzle-orm";
import type { Database } from "./open.ts";
import { events } from "./schema/operations.ts";

/** What one process notes for all: see the readers of each. */
type EventName =
  | "client_document_drifted"
  | "endpoint_deprecated"
  | "endpoint_gone"
  | "journal_unavailable"
  | "announced"
  | "announced_nowhere";

/** Notes what happened to a subject, which is never a secret. */
export async function recordEvent(
  db: Database,
  event: { readonly name: EventName; readonly subject: string; readonly count?: number },
): Promise<void> {
  await db.execute(sql`
    insert into ${events} (id, name, subject, count)
    values (gen_random_uuid(), ${event.name}, ${event.subject}, ${event.count ?? 1})`);
}

/** How often something happened to any of these since a moment of the database's clock, all counts together. */
export async function eventCount(
  db: Database,
  name: EventName,
  which: { readonly subjects: readonly string[]; readonly since: Date },
): Promise<number> {
  if (which.subjects.length === 0) return 0;
  const [row] = await db
    .select({ total: sql<number>`coalesce(sum(${events.count}), 0)::int` })
    .from(events)
    .where(
      and(
        eq(events.name, name),
        inArray(events.subject, [...which.subjects]),
        gt(events.at, which.since),
      ),
    );
  return row?.total ?? 0;
}
