import type { GuardsConfig, LimitKind, Pace } from "#src/config/guards.ts";
import { Failure } from "#src/failure.ts";
import type { Deed } from "./deed.ts";
import { inKey } from "./tally/rule.ts";
import type { Standing, Tally } from "./tally/tally.ts";
import { type NatureOf, fits } from "./tools/patterns.ts";

/** One limit that a deed counts towards. */
export type Limit = {
  readonly kind: LimitKind;
  readonly key: string;
  readonly pace: Pace;
  /** How many of the deed's requests it is about; all of them where it does not say. */
  readonly uses?: number;
};

/** Every limit that this deed counts towards. */
export function limitsOf(
  limits: GuardsConfig["limits"],
  deed: Deed,
  natureOf: NatureOf,
): readonly Limit[] {
  const found: Limit[] = [];
  const { caller, upstream } = deed;
  const add = (kind: LimitKind, name: string | undefined) => {
    const pace = limits[kind];
    if (pace !== undefined && name !== undefined) {
      found.push({ kind, key: `limit:${kind}:${name}`, pace });
    }
  };
  add("agent", caller.key);
  add("person", caller.personId);
  add("account", caller.accountId);
  add("upstream", upstream.name);
  if (limits.address !== undefined) add("address", deed.address());
  for (const [name, uses] of usesOf(deed)) {
    const own = upstream.tools.limits.find(([pattern]) =>
      fits(pattern, name, natureOf(name), true),
    );
    const pace = own?.[1] ?? limits.tool;
    if (pace === undefined) continue;
    found.push({ kind: "tool", key: `limit:tool:${upstream.name}/${inKey(name)}`, pace, uses });
  }
  return found;
}

function usesOf({ tools }: Deed): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  for (const { name } of tools) uses.set(name, (uses.get(name) ?? 0) + 1);
  return uses;
}

const whose: Readonly<Record<LimitKind, string>> = {
  agent: "this agent",
  person: "all agents of this person together",
  account: "all agents on this account together",
  upstream: "all agents at this MCP server together",
  tool: "this tool, for all agents together",
  address: "your network address",
};

/** The tightest of some limits: the one that decides how many more may come. */
export type Tightest = { readonly limit: Limit; readonly standing: Standing };

/** Failures: `rate_limited`, with when the next request may be made. Asks nobody. */
export function checkLimits(
  tally: Tally,
  limits: readonly Limit[],
  requests: number,
): Tightest | undefined {
  let tightest: Tightest | undefined;
  for (const limit of limits) {
    const standing = tally.standing(limit.key, limit.pace);
    const needed = limit.uses ?? requests;
    if (standing.remaining < needed) throw refusal({ limit, standing }, needed);
    if (tightest === undefined || standing.remaining < tightest.standing.remaining) {
      tightest = { limit, standing };
    }
  }
  return tightest;
}

function refusal(exceeded: Tightest, requests: number): Failure {
  const { pace, kind } = exceeded.limit;
  const { waitMs, remaining } = exceeded.standing;
  // A batch waits until all of it has room; one that is more than may come at once never has.
  const moreMs = (Math.max(requests - remaining - 1, 0) * pace.perMs) / pace.calls;
  const retryAfterSeconds = Math.max(Math.ceil((waitMs + moreMs) / 1000), 1);
  const allowed = `${pace.calls} requests in ${pace.perMs / 1000} s for ${whose[kind]}`;
  return new Failure(
    "rate_limited",
    `Too many requests: the limit is ${allowed}. Wait ${retryAfterSeconds} s before the next one, and make fewer: combine what can be asked at once, and do not repeat what has been answered.`,
    { retryAfterSeconds, headers: limitHeaders(exceeded, 0) },
  );
}

export function countTowards(tally: Tally, limits: readonly Limit[], requests: number): void {
  for (const { key, pace, uses = requests } of limits) tally.add(key, pace, uses);
}

/** As a client reads it (draft-ietf-httpapi-ratelimit-headers-07), after `requests` more. Seconds. */
export function limitHeaders(
  { limit: { pace }, standing }: Tightest,
  requests: number,
): Readonly<Record<string, string>> {
  const resetMs = standing.resetMs + (requests * pace.perMs) / pace.calls;
  return {
    "ratelimit-limit": String(pace.burst),
    "ratelimit-policy": `${pace.calls};w=${pace.perMs / 1000};burst=${pace.burst}`,
    "ratelimit-remaining": String(Math.max(standing.remaining - requests, 0)),
    "ratelimit-reset": String(Math.ceil(resetMs / 1000)),
  };
}
