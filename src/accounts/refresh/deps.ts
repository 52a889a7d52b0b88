import type { App } from "#src/app.ts";
import { type CircuitBreaker, createCircuitBreaker } from "../circuit-breaker/circuit-breaker.ts";
import { type Credentials, createCredentials } from "../credential.ts";
import type { Journal } from "../journal/journal.ts";

/** What a refresh leans on. */
export type RefreshDeps = Pick<
  App,
  | "db"
  | "seal"
  | "outbound"
  | "singleFlight"
  | "now"
  | "random"
  | "log"
  | "replica"
  | "catalog"
  | "config"
  | "publicUrl"
  | "metrics"
  | "tracing"
> &
  RefreshParts;

export type RefreshParts = {
  readonly credentials: Credentials;
  readonly journal: Journal;
  readonly circuitBreaker: CircuitBreaker;
  readonly atStep: AtStep;
  /** Whoever waits for another process stops waiting. */
  readonly stopping: AbortSignal;
};

type RefreshOptions = {
  readonly atStep?: AtStep | undefined;
  readonly stopping?: AbortSignal;
};

export function createRefreshParts(
  app: App,
  journal: Journal,
  options: RefreshOptions = {},
): RefreshParts {
  const { atStep = () => undefined, stopping = new AbortController().signal } = options;
  const [credentials, circuitBreaker] = [createCredentials(app), createCircuitBreaker(app)];
  return { credentials, journal, circuitBreaker, atStep, stopping };
}

/** What is behind a refresh when it reaches the next step. Tests stop the process at each. */
export const refreshSteps = [
  "begun",
  "intent_committed",
  "room_made",
  "answered",
  "journaled",
  "stored",
  "marked",
  "forgotten",
] as const;

export type RefreshStep = (typeof refreshSteps)[number];

/** Called between every two steps; in a gateway that serves it does nothing. */
export type AtStep = (step: RefreshStep) => Promise<void> | void;
