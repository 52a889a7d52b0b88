import type { App } from "#src/app.ts";
import { timely } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { endExpiredGrants, endSpentGrants } from "#src/oauth-server/grants/store.ts";
import { taskDone } from "../store.ts";
import { type Leftover, countLeft, leftovers, removeSome } from "./store.ts";

/** How many rows of each kind, by its name. */
export type Removed = Readonly<Record<string, number>>;

type Deps = Pick<App, "db" | "log" | "config" | "now">;

/** So few that nobody waits for them. */
const atOnce = 1000;
/** A table that fills faster than this is a matter for the next run. */
const mostBatches = 10_000;
export const cleanupTask = "cleanup";
/** Cron runs it once a week; so many days later somebody is told. */
export const overdueDays = 8;

/**
 * Removes everything that nobody needs any more, in batches that pass over rows which are in use, and notes that
 * it ran. Any number may run at once.
 * Failures: `database_unavailable`; what was removed until then is removed.
 * @param tell Hears after each batch what it is at.
 */
export async function cleanup(
  app: Deps,
  tell: (name: string, removed: number) => void = () => undefined,
): Promise<Removed> {
  const removed: Record<string, number> = {};
  const count = async (name: string, some: (most: number) => Promise<number>) => {
    for (let batch = 0; batch < mostBatches; batch++) {
      const found = await timely(some(atOnce));
      removed[name] = (removed[name] ?? 0) + found;
      tell(name, removed[name]);
      if (found < atOnce) return;
    }
  };
  const { retention: keep } = app.config;
  await count("spent_grants_ended", (most) => endSpentGrants(app.db, most));
  await count("expired_grants_ended", (most) => endExpiredGrants(app.db, { most, now: app.now() }));
  for (const leftover of leftovers) {
    await count(leftover.name, (most) => removeSome(app.db, leftover, { keep, most }));
  }
  await timely(taskDone(app.db, cleanupTask, removed));
  app.log.info("cleanup_done", removed);
  return removed;
}

/** What `cleanup` would remove now. Changes nothing. */
export async function countLeftovers(app: Deps): Promise<Removed> {
  const counted: Record<string, number> = {};
  for (const each of leftovers) {
    counted[each.name] = await countLeft(app.db, each, app.config.retention);
  }
  return counted;
}

/** What lives for minutes goes by itself, in every gateway; what fails is left for the next time. Never rejects. */
export async function tidy(app: Deps): Promise<void> {
  const { retention: keep } = app.config;
  const some = leftovers.filter(({ isShortLived }) => isShortLived === true);
  const steps: (() => Promise<number>)[] = [
    () => endSpentGrants(app.db, atOnce),
    () => endExpiredGrants(app.db, { most: atOnce, now: app.now() }),
    ...some.map((each: Leftover) => () => removeSome(app.db, each, { keep, most: atOnce })),
  ];
  try {
    for (const step of steps) await timely(step());
    app.log.over("tidy_failed");
  } catch (error) {
    app.log.lasting("tidy_failed", errorFields(error));
  }
}
