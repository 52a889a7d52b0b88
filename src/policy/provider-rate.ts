import { setTimeout as sleep } from "node:timers/promises";
import type { CallLimit } from "#src/providers/provider.ts";
import type { Rate } from "#src/config/guards.ts";
import { Failure } from "#src/failure.ts";
import type { CallContext } from "./plan.ts";
import { type RateCounters, inKey } from "./rates/rate-counters.ts";

/** A limit of the provider that this call counts towards. */
export type Place = { readonly key: string; readonly pace: Rate; readonly penaltySeconds: number };

/** Slows calls down before a provider punishes them, and keeps away while it does. */
export type ProviderRate = {
  /** Which limits of its provider it counts towards; most providers say nothing of any. */
  placesOf(call: CallContext): readonly Place[];
  /** Waits for its turn, two seconds at most; undefined where there is none. Failures: `provider_pace`. */
  wait(call: CallContext, places: readonly Place[]): Promise<void> | undefined;
  /** The provider has said that it was too much. */
  punished(places: readonly Place[], retryAfterSeconds: number | undefined): void;
  /** Whether the failed result of a tool says so. */
  saysTooMuch(call: CallContext, result: string): boolean;
};

const [longestWaitMs, mostWaiting, longestPenaltySeconds] = [2000, 500, 300];

export function createProviderRate(app: { readonly rateCounters: RateCounters }): ProviderRate {
  const { rateCounters } = app;
  let waiting = 0;
  async function wait(call: CallContext, places: readonly Place[]): Promise<void> {
    // A punishment costs more than a millisecond: the others hear of each call first.
    if (places.some(({ key }) => rateCounters.needsSyncOf(key))) await rateCounters.told();
    const waitMs = Math.max(
      ...places.map(({ key, pace }) => rateCounters.status(key, pace).waitMs),
    );
    if (waitMs > longestWaitMs || (waitMs > 0 && waiting >= mostWaiting)) {
      const retryAfterSeconds = Math.ceil(waitMs / 1000);
      const message = `The provider takes no more calls for now; this one was not sent. Wait ${retryAfterSeconds} s, then go on more slowly.`;
      throw new Failure("provider_pace", message, { retryAfterSeconds });
    }
    // Whoever comes next waits behind this one.
    for (const { key, pace } of places) rateCounters.add(key, pace, call.tools.length);
    if (waitMs <= 0) return;
    waiting += 1;
    await sleep(waitMs);
    waiting -= 1;
  }

  return {
    placesOf(call) {
      const { provider } = call.plan;
      if (provider?.callLimits === undefined || call.tools.length === 0) return noPlaces;
      return provider.callLimits.flatMap((limit) => placeOf(provider.name, limit, call));
    },
    wait: (call, places) => (places.length === 0 ? undefined : wait(call, places)),
    punished(places, retryAfterSeconds) {
      for (const { key, pace, penaltySeconds } of places) {
        const stepMs = pace.perMs / pace.calls;
        const { resetMs } = rateCounters.status(key, pace);
        const seconds = Math.min(retryAfterSeconds ?? penaltySeconds, longestPenaltySeconds);
        const untilMs = seconds * 1000 + (pace.burst - 1) * stepMs;
        if (untilMs > resetMs) rateCounters.add(key, pace, (untilMs - resetMs) / stepMs);
      }
    },
    saysTooMuch: (call, result) =>
      call.plan.provider?.limitWords?.some((word) => result.includes(word)) === true,
  };
}

const noPlaces: readonly Place[] = [];

/** For each account, and for each value of an argument that it sends: nobody can use up another's. */
function placeOf(provider: string, limit: CallLimit, call: CallContext): readonly Place[] {
  const { per, calls, seconds, penaltySeconds } = limit;
  // One after the other: a burst and what comes after it would be more than the limit.
  const pace = { calls, perMs: seconds * 1000, burst: 1 };
  const owner = call.caller.accountId ?? call.caller.key;
  const place = (name: string) => ({
    key: `provider:${provider}:${owner}:${inKey(name)}`,
    pace,
    penaltySeconds,
  });
  if (per === "account") return [place("account")];
  const values = call.tools.map((use) => use.written?.arguments[per.argument]);
  const named = values.filter((value) => typeof value === "string" && value.length <= 200);
  return [...new Set(named)].map((value) => place(`${per.argument}:${String(value)}`));
}
