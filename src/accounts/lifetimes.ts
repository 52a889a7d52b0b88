import type { Account } from "./store.ts";

const leastSeconds = 5;
const mostSeconds = 10 * 365 * 86_400;
const longestHeadStartMs = 10 * 60_000;
const thirtyDaysMs = 30 * 86_400_000;

/** The moment an answer arrived, by the database's clock, and a number from 0 to 1. */
type Arrival = { readonly at: Date; readonly jitter: number };

/**
 * When a credential ends, counted from the moment its answer arrived, and from when on it is renewed early:
 * a tenth of the access token's lifetime before its end (ten minutes at most), or a third of the refresh
 * token's (thirty days at most), whichever comes first. Spread by half of that, so that accounts connected
 * together are not refreshed together.
 */
export function lifetimes(
  arrival: Arrival,
  tokens: { readonly accessSeconds: number; readonly refreshSeconds: number | undefined },
): Pick<Account, "accessExpiresAt" | "refreshExpiresAt" | "refreshFrom"> {
  const now = arrival.at.getTime();
  const spread = 1 + arrival.jitter / 2;
  const access = bounded(tokens.accessSeconds) * 1000;
  const refresh =
    tokens.refreshSeconds === undefined ? Infinity : bounded(tokens.refreshSeconds) * 1000;
  const early = Math.min(
    access - spread * Math.min(access / 10, longestHeadStartMs),
    refresh - spread * Math.min(refresh / 3, thirtyDaysMs),
  );
  return {
    accessExpiresAt: new Date(now + access),
    refreshExpiresAt: Number.isFinite(refresh) ? new Date(now + refresh) : null,
    refreshFrom: new Date(now + early),
  };
}

/** A lifetime of nothing would mean a refresh for every call, one of ages no date. */
function bounded(seconds: number): number {
  return Math.min(Math.max(seconds, leastSeconds), mostSeconds);
}
