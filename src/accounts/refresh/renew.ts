import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { type Held, readHeld } from "../credential.ts";
import { recoverNow } from "../recovery/recover.ts";
import { markRestored } from "../recovery/store.ts";
import { type Registration, registrationOf } from "../registration.ts";
import { askProvider } from "./attempt.ts";
import { busy, reconnect } from "./failures.ts";
import type { RefreshDeps } from "./deps.ts";
import {
  type Lease,
  abandonUnanswered,
  endUnrenewable,
  leaseRefresh,
  mostOpenAttempts,
  returnLease,
} from "./store.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { ReadAccount } from "../store.ts";

const waitForOthersMs = 100;
/** About once a second, whether the process that is waited for is gone. */
const turnsPerLook = 10;

/**
 * A newer credential than `known`, which somebody found dead or about to end.
 *
 * In one process callers share one refresh; across processes a lease with a fencing generation decides
 * who asks the provider, and everybody else waits for the newer row. No transaction is open meanwhile.
 * Failures: `reconnect_needed`, `renewal_pending`, `provider_busy`, `provider_refuses_application`, `journal_unavailable`,
 * `database_unavailable`.
 */
export function renew(app: RefreshDeps, known: Held, wish: Wish): Promise<Held> {
  // A call does not stand in the line of those for whom nobody waits.
  const key = `refresh ${wish.isEarly === true ? "early " : ""}${known.accountId} ${known.generation}`;
  return app.singleFlight(key, () => renewOnce(app, known, wish));
}

type Wish = {
  readonly requestId: string;
  /** Nobody waits for it. */
  readonly isEarly?: boolean;
};

async function renewOnce(app: RefreshDeps, known: Held, wish: Wish): Promise<Held> {
  const { requestId, isEarly = false } = wish;
  const registration = registrationOf(app, known.provider);
  const deadline = performance.now() + leaseMs(app);
  for (let turn = 1; performance.now() < deadline; turn++) {
    if (app.stopping.aborted) throw new Failure("gateway_stopping");
    const current = await currentOf(app, known);
    if (current.generation > known.generation) return current;
    await refuseUnrefreshable(app, current);
    const renewed = await app.circuitBreaker.pass(registration, { deadline, isEarly }, () =>
      askIfFree(app, current, { registration, requestId }),
    );
    if (renewed !== undefined) return renewed;
    if (turn % turnsPerLook === 0) await recoverNow(app);
    await sleep(waitForOthersMs * (0.5 + app.random()));
  }
  throw new Failure("renewal_pending", undefined, { retryAfterSeconds: 5 });
}

/** Undefined when another process is asking, or may hold the answer. */
async function askIfFree(
  app: RefreshDeps,
  current: Held,
  asking: { registration: Registration; requestId: string },
): Promise<Held | undefined> {
  await app.atStep("begun");
  const version = { id: current.accountId, generation: current.generation };
  const leased = await leasedBy(app, (lease) => leaseRefresh(app.db, version, lease));
  return leased === undefined ? undefined : await askProvider(app, { ...asking, ...leased });
}

async function currentOf(app: RefreshDeps, known: Held): Promise<Held> {
  const current = await readHeld(app, known.accountId);
  if (current === undefined) throw reconnect(app, known);
  app.credentials.put(current.accountId, current);
  return current;
}

async function refuseUnrefreshable(app: RefreshDeps, current: Held): Promise<void> {
  const { accountId: id, generation, state, isRenewable } = current;
  const isAskable = current.isUsable || state === "revoking";
  if (!isAskable) throw reconnect(app, current);
  if (!isRenewable) {
    await timely(endUnrenewable(app.db, id));
    app.credentials.forget(id);
    throw reconnect(app, current);
  }
  if (await isRestored(app, { id, generation })) throw reconnect(app, current);
  if (current.intents >= mostOpenAttempts) {
    // The journal may know that one of them was never asked, or have its answer.
    await recoverNow(app);
    const isOver = await timely(abandonUnanswered(app.db, { id, generation }, app.journal.id));
    if (isOver || state === "revoking") throw reconnect(app, current);
  }
  // What is revoked at the provider has a rate of its own.
  const waitMs = state === "revoking" ? 0 : current.retryAt - app.now().getTime();
  if (waitMs > 0) throw busy(waitMs);
}

/** Whether a database from a backup would have a refresh token sent that has been used. */
export async function isRestored(
  app: Pick<RefreshDeps, "db" | "journal" | "log">,
  { id, generation }: { readonly id: string; readonly generation: number },
): Promise<boolean> {
  const highest = app.journal.marks.highest(id);
  if (highest <= generation) return false;
  const restored = await timely(markRestored(app.db, [{ id, generation: highest }]));
  // Otherwise only what the caller has read is old: somebody has stored a newer one meanwhile.
  if (restored.length === 0) return false;
  app.log.error("account_restored", { accountId: id, generation, known: highest });
  return true;
}

type Deps = Pick<RefreshDeps, "db" | "config" | "replica" | "journal" | "log">;

type Leased = {
  readonly account: ReadAccount;
  /** See `Attempt`. */
  readonly isOverdue: () => boolean;
};

const graceMs = 10_000;
/** What is left of the grace when a question may still be sent. */
const leastLeftMs = 3000;

/** How long a lease holds: longer than a provider may take, so that nobody else begins while its answer may come. */
export function leaseMs({ config }: Pick<Deps, "config">): number {
  return config.providerTimeoutMs + graceMs;
}

/** Takes a lease by `take`. One that comes after everybody has stopped waiting for it goes back. */
export async function leasedBy(
  app: Deps,
  take: (lease: Lease) => Promise<ReadAccount | undefined>,
): Promise<Leased | undefined> {
  const begun = performance.now();
  const seconds = Math.ceil(leaseMs(app) / 1000);
  const taking = take({ holder: app.replica, journal: app.journal.id, seconds });
  try {
    const account = await timely(taking);
    const isOverdue = () => performance.now() - begun > graceMs - leastLeftMs;
    return account === undefined ? undefined : { account, isOverdue };
  } catch (error) {
    void giveBackLate(app, taking);
    throw error;
  }
}

async function giveBackLate(app: Deps, taking: Promise<ReadAccount | undefined>): Promise<void> {
  try {
    const account = await taking;
    if (account !== undefined) await timely(returnLease(app.db, account, app.replica));
  } catch (error) {
    app.log.warn("lease_not_returned", errorFields(error));
  }
}
