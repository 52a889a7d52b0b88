import { setTimeout as sleep } from "node:timers/promises";
import type { App } from "#src/app.ts";
import { readHeld } from "#src/accounts/credential.ts";
import { type Refreshing, renew } from "#src/accounts/refresh.ts";
import { dueAccounts } from "#src/accounts/store.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";
import { tidy } from "./tidy.ts";

export type Schedule = { stop(): Promise<void> };

const everyMs = 20_000;
const lookAheadMs = 15 * 60_000;
const accountsPerRound = 20;
/** About every seven minutes. */
const tidyShare = 0.05;

/**
 * Refreshes credentials before they end, also those that nobody uses. Every replica does this; the lease
 * decides who asks the provider. One account at a time, a round every 20 s give or take a quarter.
 * What has expired is removed now and then.
 */
export function startSchedule(app: Refreshing): Schedule {
  const stopping = new AbortController();
  const running = rounds(app, stopping.signal);
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}

async function rounds(app: Refreshing, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    const pauseMs = everyMs * (0.75 + app.random() / 2);
    await sleep(pauseMs, undefined, { signal: stopping }).catch(() => undefined);
    if (!stopping.aborted && app.random() < tidyShare) await tidy(app);
    if (!stopping.aborted) await refreshDue(app, stopping);
  }
}

/** One round. Never rejects: what goes wrong is in the log and in the account's row. */
export async function refreshDue(app: Refreshing, stopping?: AbortSignal): Promise<void> {
  const now = app.now();
  const before = new Date(now.getTime() + lookAheadMs);
  try {
    const due = await dueAccounts(app.db, { before, now, most: accountsPerRound });
    await refreshEach(app, due, stopping);
  } catch (error) {
    app.log.warn("schedule_failed", troubleOf(error));
  }
}

async function refreshEach(
  app: Refreshing,
  due: readonly { readonly id: string }[],
  stopping: AbortSignal | undefined,
): Promise<void> {
  for (const { id } of due) {
    if (stopping?.aborted === true) return;
    await refreshOne(app, id);
  }
}

async function refreshOne(app: Refreshing & Pick<App, "now">, accountId: string): Promise<void> {
  try {
    const held = await readHeld(app, accountId);
    if (held === undefined || held.refreshFrom > app.now().getTime()) return;
    await renew(app, held, `schedule-${app.replica.slice(0, 8)}`);
  } catch (error) {
    app.log.warn("early_refresh_failed", { accountId, ...troubleOf(error) });
  }
}
