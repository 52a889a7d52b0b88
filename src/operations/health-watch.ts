import { cleanupTask } from "./cleanup/cleanup.ts";
import type { App } from "#src/app.ts";
import { within, millisecondsOf } from "#src/clock.ts";
import { secondsSince } from "./store.ts";
import { createCache } from "#src/cache.ts";
import { Failure } from "#src/failure.ts";
import { guardAlerts } from "./alerts/guard-condition-store.ts";

/** Whether cron still does its part; asked once a minute at most. */
export type HealthWatch = {
  /** Undefined while the database does not say. */
  daysSinceCleanup(): Promise<number | undefined>;
  /** The kinds of alerts of guards that fire; none while the database does not say. */
  guardAlerts(): Promise<readonly string[]>;
};

const daySeconds = 86_400;
/** Probes have limits of a few seconds. */
const longestMs = 1000;

export function createHealthWatch(app: Pick<App, "db" | "now">): HealthWatch {
  const now = millisecondsOf(app);
  const known = createCache<number>({ freshMs: 60_000, staleMs: 3_600_000, size: 1, now });
  const late = () => new Failure("database_unavailable");
  const load = async () =>
    (await within(longestMs, secondsSince(app.db, cleanupTask), late)) / daySeconds;
  const kinds = createCache<readonly string[]>({
    freshMs: 5000,
    staleMs: 3_600_000,
    size: 1,
    now,
  });
  const loadKinds = () => within(longestMs, guardAlerts(app.db), late);
  return {
    guardAlerts: async () => (await kinds.get("kinds", loadKinds).catch(() => undefined)) ?? [],
    daysSinceCleanup: () => known.get(cleanupTask, load).catch(() => undefined),
  };
}
