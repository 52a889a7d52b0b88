import { setTimeout as sleep } from "node:timers/promises";
import { askProvider } from "#src/accounts/refresh/attempt.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import { leasedBy, isRestored } from "#src/accounts/refresh/renew.ts";
import { dueProviders, endUnrenewable, leaseDue } from "#src/accounts/refresh/store.ts";
import { finishDisconnecting } from "#src/accounts/revocation/disconnect.ts";
import { type Registration, registrationOf } from "#src/accounts/registration.ts";
import { timely } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { type IdleAccountDeps, keepAlive } from "./idle-accounts.ts";
import { tidy } from "./cleanup/cleanup.ts";

export type Schedule = { stop(): Promise<void> };

const everyMs = 20_000;
const mostWorkers = 4;
/** A round ends after so many, so that one provider with a crowd does not hold up the others. */
const mostPerRound = 2000;
const earlyWaitMs = 10_000;
/** About every seven minutes. */
const nowAndThen = 0.05;

/**
 * Refreshes credentials before they end, also those that nobody uses. Every replica does this; each picks
 * accounts that no other is picking, and all of them together keep within half of the provider's places.
 * A round every 20 s give or take a quarter. What has expired is removed now and then.
 */
export function startSchedule(app: RefreshDeps & IdleAccountDeps): Schedule {
  const stopping = new AbortController();
  const running = rounds(app, stopping.signal);
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}

async function rounds(app: RefreshDeps & IdleAccountDeps, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    const pauseMs = everyMs * (0.75 + app.random() / 2);
    await sleep(pauseMs, undefined, { signal: stopping }).catch(() => undefined);
    if (!stopping.aborted && app.random() < nowAndThen) await tidy(app);
    if (!stopping.aborted) await refreshDue(app, stopping);
    if (!stopping.aborted) await finishRevocations(app, stopping);
    if (!stopping.aborted && app.random() < nowAndThen) await keepAlive(app, stopping);
  }
}

async function finishRevocations(app: RefreshDeps, stopping: AbortSignal): Promise<void> {
  try {
    await finishDisconnecting(app, stopping);
    app.log.over("revocations_not_finished");
  } catch (error) {
    app.log.lasting("revocations_not_finished", errorFields(error));
  }
}

/** One round. Never rejects: what goes wrong is in the log and in the account's row. */
export async function refreshDue(app: RefreshDeps, stopping?: AbortSignal): Promise<void> {
  try {
    await timely(endUnrenewable(app.db));
    const all = await timely(dueProviders(app.db));
    for (const { provider, due } of all) await refreshSome(app, provider, { due, stopping });
    app.log.over("schedule_failed");
  } catch (error) {
    app.log.lasting("schedule_failed", errorFields(error));
  }
}

async function refreshSome(
  app: RefreshDeps,
  provider: string,
  round: { due: number; stopping: AbortSignal | undefined },
): Promise<void> {
  const registration = registrationIfAny(app, provider);
  if (registration === undefined) return;
  let left = Math.min(round.due, mostPerRound);
  const work = async () => {
    while (left > 0 && round.stopping?.aborted !== true) {
      left -= 1;
      if ((await refreshNext(app, registration)) !== "more") return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(left, mostWorkers) }, work));
}

/** Accounts of a provider that is not configured any more are left alone. */
function registrationIfAny(app: RefreshDeps, provider: string): Registration | undefined {
  try {
    return registrationOf(app, provider);
  } catch {
    return undefined;
  }
}

/** `over` when nothing is due any more, or the provider is not to be asked now. */
async function refreshNext(app: RefreshDeps, registration: Registration): Promise<"more" | "over"> {
  const pass = { deadline: performance.now() + earlyWaitMs, isEarly: true };
  let accountId: string | undefined;
  try {
    return await app.circuitBreaker.pass(registration, pass, async () => {
      const { name } = registration.provider;
      const leased = await leasedBy(app, (lease) => leaseDue(app.db, name, lease));
      if (leased === undefined) return "over";
      accountId = leased.account.id;
      // Marked, and its lease taken, in one statement.
      if (await isRestored(app, leased.account)) return "more";
      await askProvider(app, { ...leased, registration, requestId: requestIdOf(app) });
      return "more";
    });
  } catch (error) {
    // Without an account it was the provider's turn that failed: closed, busy, or the database is away.
    if (accountId === undefined) return "over";
    app.log.warn("early_refresh_failed", { accountId, ...errorFields(error) });
    return "more";
  }
}

function requestIdOf({ replica }: Pick<RefreshDeps, "replica">): string {
  return `schedule-${replica.slice(0, 8)}`;
}
