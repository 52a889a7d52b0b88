import type { App } from "#src/app.ts";
import { timely, within } from "#src/timeout.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { endSpentGrants } from "#src/oauth-server/grants/store.ts";
import { taskDone, secondsSince } from "../store.ts";
import { type Leftover, countLeft, leftovers, removeSome } from "./store.ts";
import { createCache } from "#src/cache.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { guardAlerts } from "../alerts/guard-condition-store.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { createOutbound } from "#src/http/fetch-exchange.ts";

/** How many rows of each kind, by its name. */
export type Removed = Readonly<Record<string, number>>;

type Deps = Pick<App, "db" | "log" | "config">;

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
    ...some.map((each: Leftover) => () => removeSome(app.db, each, { keep, most: atOnce })),
  ];
  try {
    for (const step of steps) await timely(step());
    app.log.over("tidy_failed");
  } catch (error) {
    app.log.lasting("tidy_failed", errorFields(error));
  }
}

/** Whether cron still does its part; asked once a minute at most. */
export type CleanupWatch = {
  /** Undefined while the database does not say. */
  daysSinceCleanup(): Promise<number | undefined>;
  /** The kinds of alerts of guards that fire; none while the database does not say. */
  guardAlerts(): Promise<readonly string[]>;
};

const daySeconds = 86_400;
/** Probes have limits of a few seconds. */
const longestMs = 1000;

export function createCleanupWatch(app: Pick<App, "db" | "now">): CleanupWatch {
  const now = () => app.now().getTime();
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

const [limitMs, tries, pauseMs] = [10_000, 5, 500];

/**
 * Does `work` and tells a monitor as healthchecks.io wants it: `/start` before, the bare address after, `/fail`
 * when it failed. A monitor that does not answer changes nothing.
 */
export async function pinging<T extends object>(
  url: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (url === undefined) return await work();
  await tellMonitor(`${trimmed(url)}/start`, "");
  try {
    const outcome = await work();
    await tellMonitor(trimmed(url), JSON.stringify(outcome));
    return outcome;
  } catch (error) {
    await tellMonitor(`${trimmed(url)}/fail`, asFailure(error).code);
    throw error;
  }
}

function trimmed(url: string): string {
  return url.replace(/(?<!\/)\/+$/, "");
}

/** Five tries of ten seconds. Whether it was taken; never rejects. */
async function tellMonitor(url: string, body: string): Promise<boolean> {
  const outbound = createOutbound(limitMs);
  const headers = { "content-type": "text/plain; charset=utf-8" };
  for (let attempt = 1; attempt <= tries; attempt++) {
    const answer = await outbound(url, { method: "POST", headers, body }).catch(() => undefined);
    if (answer !== undefined && answer.status < 400) return true;
    await sleep(pauseMs * attempt);
  }
  return false;
}
