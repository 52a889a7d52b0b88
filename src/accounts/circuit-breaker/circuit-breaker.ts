import { setTimeout as sleep } from "node:timers/promises";
import type { App } from "#src/app.ts";
import { createCache } from "#src/cache.ts";
import { Failure } from "#src/failure.ts";
import { timely, within, millisecondsOf } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { type Registration, tagOfRegistration } from "../registration.ts";
import {
  type CircuitState,
  clearStanding,
  countFailure,
  freeSlot,
  makeSlots,
  refuseApplication,
  releaseProbe,
  standingOf,
  takeProbe,
  takeSlot,
} from "./store.ts";
import { type Semaphore, createSemaphore } from "#src/http/semaphore.ts";

type Pass = {
  /** By `performance.now()`; whoever has no turn by then is told to come back. */
  readonly deadline: number;
  /** Nobody waits for it: it leaves half of the places to those for whom somebody does. */
  readonly isEarly: boolean;
};

type Failed = {
  readonly retryAfterSeconds: number | undefined;
  /** The account's first failure in a row. */
  readonly isFirst: boolean;
};

/**
 * Who may ask a provider now, for all replicas together: at most `mostAtOnce` of its profile at the same time;
 * nobody for a while after failures in a row, then one first; nobody at all while the provider refuses us as an
 * application, but for one try an hour.
 */
export type CircuitBreaker = {
  /** Failures: `provider_busy`, `provider_refuses_application`, `database_unavailable`, those of `work`. */
  pass<T>(registration: Registration, pass: Pass, work: () => Promise<T>): Promise<T>;
  /** The provider said something that makes sense. */
  answered(registration: Registration): Promise<void>;
  failed(registration: Registration, failed: Failed): Promise<void>;
  refused(registration: Registration, code: string): Promise<void>;
};

type Deps = Pick<App, "db" | "now" | "random" | "log" | "replica" | "config" | "bindingKey">;

const defaultAtOnce = 8;
const mostWaiting = 2000;
const pollMs = 50;
const freeMs = 1000;
const knownMs = 500;
const graceSeconds = 10;
const failing = { mostFailures: 5, firstSeconds: 2, longestSeconds: 300 };
const refusedSeconds = 3600;
const probeSeconds = 30;

export function createCircuitBreaker(app: Deps): CircuitBreaker {
  const now = millisecondsOf(app);
  const turns = new Map<string, Semaphore>();
  const circuits = createCache<CircuitState>({ freshMs: knownMs, staleMs: 0, size: 100, now });

  /** Two lines for each provider: a crowd that nobody waits for is not in a call's way. */
  function turnsOf({ provider }: Registration, { isEarly }: Pass): Semaphore {
    const name = `${provider.name} ${isEarly}`;
    const known = turns.get(name);
    if (known !== undefined) return known;
    const made = createSemaphore(placesOf(provider, isEarly), mostWaiting);
    turns.set(name, made);
    return made;
  }

  /** What happened at the provider is known either way; that others hear of it is worth one try. */
  async function tell({ provider }: Registration, telling: Promise<unknown>): Promise<void> {
    circuits.forget(provider.name);
    await timely(telling).catch((error: unknown) =>
      app.log.lasting("provider_state_lost", errorFields(error)),
    );
  }

  return {
    async pass(registration, pass, work) {
      const { name } = registration.provider;
      const giveBack = await turnsOf(registration, pass).take(pass.deadline - performance.now());
      if (giveBack === undefined) throw late();
      try {
        // After the wait: those in line must not find a closed provider one after the other.
        const circuit = await circuits.get(name, () => timely(standingOf(app.db, name)));
        const isProbe = await refuseClosed(app, registration, circuit);
        return await withSlot(app, registration, { pass, work }).finally(() => {
          // Whoever came to ask nothing leaves the question to the next one.
          if (isProbe) void tell(registration, releaseProbe(app.db, name));
        });
      } finally {
        giveBack();
      }
    },
    answered: (registration) => tell(registration, tellAnswered(app, registration.provider.name)),
    failed: (registration, failed) =>
      tell(registration, tellFailed(app, registration.provider.name, failed)),
    refused: (registration, code) => tell(registration, tellRefused(app, registration, code)),
  };
}

async function tellAnswered(app: Deps, provider: string): Promise<void> {
  const isNews = await clearStanding(app.db, provider, failing.mostFailures);
  if (isNews) app.log.info("provider_open", { provider });
}

async function tellFailed(app: Deps, provider: string, failed: Failed): Promise<void> {
  const { isFirst, retryAfterSeconds: leastSeconds = 0 } = failed;
  const jitter = 0.75 + app.random() / 2;
  const about = { ...failing, leastSeconds, jitter, isFirst };
  const counted = await countFailure(app.db, provider, about);
  const { failures, before } = counted;
  const isNews = before < failing.mostFailures && failures >= failing.mostFailures;
  if (isNews) app.log.error("provider_closed", { provider, failures });
}

async function tellRefused(app: Deps, registration: Registration, code: string) {
  const { name: provider } = registration.provider;
  const about = { code, registration: tagOfRegistration(app, registration) };
  const isNews = await refuseApplication(app.db, provider, { ...about, seconds: refusedSeconds });
  if (isNews) app.log.error("application_refused", { provider, code });
}

/** True for the one who asks first after a break. Failures: `provider_busy`, `provider_refuses_application`. */
async function refuseClosed(
  app: Deps,
  registration: Registration,
  circuit: CircuitState | undefined,
): Promise<boolean> {
  const failure = circuit === undefined ? undefined : closedBecause(app, registration, circuit);
  if (circuit === undefined || failure === undefined) return false;
  const { name } = registration.provider;
  const isFirst = circuit.closedMs <= 0 && (await timely(takeProbe(app.db, name, probeSeconds)));
  if (!isFirst) throw failure;
  return true;
}

function closedBecause(
  app: Deps,
  registration: Registration,
  circuit: CircuitState,
): Failure | undefined {
  const { failures, closedMs, refusedCode, refusedRegistration } = circuit;
  if (refusedCode !== null) {
    // With another client id or secret it is another question.
    return refusedRegistration === tagOfRegistration(app, registration)
      ? new Failure("provider_refuses_application", undefined, { hint: refusedCode })
      : undefined;
  }
  if (failures < failing.mostFailures) return undefined;
  return new Failure("provider_busy", undefined, {
    retryAfterSeconds: Math.max(1, Math.ceil(closedMs / 1000)),
  });
}

async function withSlot<T>(
  app: Deps,
  registration: Registration,
  { pass, work }: { pass: Pass; work: () => Promise<T> },
): Promise<T> {
  const { provider } = registration;
  const below = placesOf(provider, pass.isEarly);
  let slot = await oneSlot(app, provider.name, below);
  if (slot === undefined) await timely(makeSlots(app.db, provider.name, placesOf(provider, false)));
  while (slot === undefined) {
    slot = await oneSlot(app, provider.name, below);
    if (slot !== undefined) break;
    if (performance.now() >= pass.deadline) throw late();
    await sleep(pollMs * (0.5 + app.random()));
  }
  try {
    return await work();
  } finally {
    await giveSlotBack(app, provider.name, slot);
  }
}

/** One that comes after everybody has stopped waiting for it goes back. */
async function oneSlot(app: Deps, provider: string, below: number) {
  const seconds = Math.ceil(app.config.providerTimeoutMs / 1000) + graceSeconds;
  const taking = takeSlot(app.db, provider, { holder: app.replica, seconds, below });
  try {
    return await timely(taking);
  } catch (error) {
    void giveBackLate(app, provider, taking);
    throw error;
  }
}

async function giveBackLate(
  app: Deps,
  provider: string,
  taking: Promise<number | undefined>,
): Promise<void> {
  const slot = await taking.catch(() => undefined);
  if (slot !== undefined) await giveSlotBack(app, provider, slot);
}

/** Where the database does not hear of it, the slot ends by itself. */
async function giveSlotBack(app: Deps, provider: string, slot: number): Promise<void> {
  const freed = freeSlot(app.db, provider, { slot, holder: app.replica });
  await within(freeMs, freed, late).catch(() => undefined);
}

/** How many may ask at once: those for whom somebody waits may take every place, the others half of them. */
function placesOf(provider: Registration["provider"], isEarly: boolean): number {
  const atOnce = provider.refresh.mostAtOnce ?? defaultAtOnce;
  return isEarly ? Math.ceil(atOnce / 2) : atOnce;
}

function late(): Failure {
  return new Failure("provider_busy", undefined, { retryAfterSeconds: 5 });
}
