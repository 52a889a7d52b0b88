import { createCache } from "#src/cache.ts";
import { Failure } from "#src/failure.ts";

/** Lets each key through a limited number of times a minute. */
export type FloodGate = {
  /** Counts one. Failures: `too_many_requests`. */
  pass(key: string): void;
  /** Counts nothing. Failures: `too_many_requests` when none would pass. */
  check(key: string): void;
};

type FloodGateOptions = {
  readonly perMinute: number;
  /** So many may come at once. */
  readonly burst: number;
  readonly now: () => number;
};

const mostKeys = 10_000;
const longestMemoryMs = 3_600_000;

/** The generic cell rate algorithm: one number for a key. Of this process alone. */
export function createFloodGate({ perMinute, burst, now }: FloodGateOptions): FloodGate {
  const intervalMs = 60_000 / perMinute;
  const arrivals = createCache<number>({
    freshMs: longestMemoryMs,
    staleMs: 0,
    size: mostKeys,
    now,
  });
  const dueOf = (key: string) => {
    const time = now();
    const last = arrivals.fresh(key) ?? time;
    // Further ahead than it can be: the clock was set back.
    const due = last - time > burst * intervalMs ? time : Math.max(last, time);
    const waitMs = due - time - (burst - 1) * intervalMs;
    if (waitMs <= 0) return due;
    throw new Failure("too_many_requests", undefined, {
      retryAfterSeconds: Math.ceil(waitMs / 1000),
    });
  };
  return {
    check: (key) => void dueOf(key),
    pass: (key) => arrivals.put(key, dueOf(key) + intervalMs),
  };
}
