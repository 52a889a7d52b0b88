import { sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { tasks } from "#db/schema/operations.ts";

/** Notes that a task was done now, and what it did. */
export async function taskDone(
  db: Database,
  name: string,
  outcome: Readonly<Record<string, number>>,
): Promise<void> {
  const done = { doneAt: sql`now()`, outcome, takenBy: null, takenUntil: null };
  await db
    .insert(tasks)
    .values({ name, ...done })
    .onConflictDoUpdate({ target: tasks.name, set: done });
}

/**
 * Takes a task for one replica, when it was not done for `everySeconds` and nobody else is at it. Whoever takes it
 * and dies gives it back after a minute.
 */
export async function takeTask(
  db: Database,
  task: { readonly name: string; readonly holder: string; readonly everySeconds: number },
): Promise<boolean> {
  const { name, holder, everySeconds } = task;
  const rows = await db.execute(sql`
    insert into ${tasks} as t (name, taken_by, taken_until)
    values (${name}, ${holder}::uuid, now() + interval '1 minute')
    on conflict (name) do update set taken_by = ${holder}::uuid, taken_until = now() + interval '1 minute'
    where (t.taken_until is null or t.taken_until < now())
      and (t.done_at is null or t.done_at < now() - ${everySeconds} * interval '1 second')
    returning name`);
  return rows.length === 1;
}

/** How long ago a task was done; of one that never was, how long this database has existed. Seconds. */
export async function secondsSince(db: Database, name: string): Promise<number> {
  const [row] = await db.execute<{ seconds: number }>(sql`
    select extract(epoch from now() - coalesce(
      (select done_at from ${tasks} where name = ${name}),
      (select min(applied_at) from smartdash_migrations)))::float8 as seconds`);
  return row?.seconds ?? 0;
}

/** Every task with when it was done and what it did. */
export function allTasks(db: Database): Promise<(typeof tasks.$inferSelect)[]> {
  return db.select().from(tasks).orderBy(tasks.name);
}
