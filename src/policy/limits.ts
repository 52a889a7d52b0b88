import type { GuardsConfig, LimitKind, Rate } from "#src/config/guards.ts";
import { Failure } from "#src/failure.ts";
import { unknownAddress } from "#src/http/address.ts";
import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { type Counter, type RateCounters, inKey } from "./rates/rate-counters.ts";
import { type Nature, fits } from "./tools/patterns.ts";

/** One limit that a call counts towards. */
export type Limit = {
  readonly kind: LimitKind;
  readonly rate: Rate;
  /** What an answer says of it whatever is left: `RateLimit-Limit` and `-Policy`. */
  readonly headerValues: { readonly limit: string; readonly policy: string };
  /** How many of the call's requests it is about; all of them where it does not say. */
  readonly uses?: number;
  readonly key: string;
  /** What counts it, once something was counted here. */
  counter: Counter | undefined;
};

type Limits = GuardsConfig["limits"];

function limitFor(kind: LimitKind, rate: Rate, name: string): Limit {
  const { calls, perMs, burst } = rate;
  const headerValues = {
    limit: String(burst),
    policy: `${calls};w=${perMs / 1000};burst=${burst}`,
  };
  return { kind, rate, headerValues, key: `limit:${kind}:${name}`, counter: undefined };
}

/** Every limit that all calls of a caller at an upstream count towards. */
export function limitsOfCaller(
  limits: Limits,
  { caller, upstream }: { readonly caller: Caller; readonly upstream: Upstream },
): readonly Limit[] {
  const names: readonly (readonly [LimitKind, string | undefined])[] = [
    ["agent", caller.key],
    ["person", caller.personId],
    ["account", caller.accountId],
    ["upstream", upstream.name],
  ];
  return names.flatMap(([kind, name]) => {
    const rate = limits[kind];
    return rate === undefined || name === undefined ? [] : [limitFor(kind, rate, name)];
  });
}

/** The limit of one tool, by the operator's first pattern that fits it. */
export function limitOfTool(
  limits: Limits,
  upstream: Upstream,
  { name, nature }: { readonly name: string; readonly nature: Nature | undefined },
): Limit | undefined {
  const own = upstream.tools.limits.find(([pattern]) => fits(pattern, name, nature, true));
  const rate = own?.[1] ?? limits.tool;
  if (rate === undefined) return undefined;
  return limitFor("tool", rate, `${upstream.name}/${inKey(name)}`);
}

/** What limits lean on. */
export type LimitDeps = {
  readonly config: {
    readonly guards: Pick<GuardsConfig, "limits">;
    readonly clientAddressHeader: string | undefined;
  };
  /** Of the addresses that were here lately. */
  readonly addressLimits: Map<string, Limit>;
};

/** What a call is, as far as limits go. */
type Limited = {
  readonly plan: { readonly limits: readonly Limit[]; addressSeen: AddressSeen | undefined };
  readonly tools: readonly {
    readonly name: string;
    readonly plan: { readonly limit: Limit | undefined; readonly limits: readonly Limit[] };
  }[];
  readonly address: () => string;
  /** In milliseconds. */
  readonly at: number;
};

/** Which limit of an address the last call of a caller counted towards, and when its address was asked for. */
export type AddressSeen = { readonly limit: Limit; readonly at: number };

/** Every limit that a call counts towards; a tool's as often as it is called. */
export function limitsOf(app: LimitDeps, call: Limited): readonly Limit[] {
  const { plan, tools } = call;
  const rate = app.config.guards.limits.address;
  const [only] = tools;
  const ofCaller = only !== undefined && tools.length === 1 ? only.plan.limits : plan.limits;
  if (rate === undefined && tools.length <= 1) return ofCaller;
  const known = rate === undefined ? ofCaller : joined(ofCaller, limitOfAddress(app, rate, call));
  return tools.length > 1 ? [...known, ...limitsOfSeveral(tools)] : known;
}

/** Lists of a plan with the limit of the address that its caller has come from last. */
const withAddress = new WeakMap<
  readonly Limit[],
  { readonly last: Limit; readonly all: readonly Limit[] }
>();

function joined(ofCaller: readonly Limit[], address: Limit): readonly Limit[] {
  const known = withAddress.get(ofCaller);
  if (known?.last === address) return known.all;
  const all = [...ofCaller, address];
  withAddress.set(ofCaller, { last: address, all });
  return all;
}

const mostAddresses = 10_000;
/** Asking the kernel for the address of a connection costs more than all limits together. */
const addressHoldsMs = 1000;

/** What a proxy says of it is read with each call, the address of a caller's connection once a second. */
function limitOfAddress(app: LimitDeps, rate: Rate, { plan, at, address }: Limited): Limit {
  const seen = plan.addressSeen;
  const isAsked = app.config.clientAddressHeader !== undefined;
  // A clock that is set back does not make it last.
  if (!isAsked && seen !== undefined && at >= seen.at && at - seen.at < addressHoldsMs) {
    return seen.limit;
  }
  const found = address();
  // Who breaks off in the middle of a body has none any more: it was the one before, and is not remembered.
  if (found === unknownAddress) return seen?.limit ?? limitAt(app, rate, found);
  const limit = limitAt(app, rate, found);
  plan.addressSeen = { limit, at };
  return limit;
}

function limitAt({ addressLimits }: LimitDeps, rate: Rate, address: string): Limit {
  const known = addressLimits.get(address);
  if (known !== undefined) return known;
  if (addressLimits.size >= mostAddresses) addressLimits.clear();
  const limit = limitFor("address", rate, address);
  addressLimits.set(address, limit);
  return limit;
}

function limitsOfSeveral(tools: Limited["tools"]): readonly Limit[] {
  const uses = Map.groupBy(tools, ({ name }) => name);
  return [...uses.values()].flatMap((same) => {
    const limit = same[0]?.plan.limit;
    return limit === undefined ? [] : [{ ...limit, uses: same.length }];
  });
}

const whose: Readonly<Record<LimitKind, string>> = {
  agent: "this agent",
  person: "all agents of this person together",
  account: "all agents on this account together",
  upstream: "all agents at this MCP server together",
  tool: "this tool, for all agents together",
  address: "your network address",
};

/**
 * The tightest of these limits, which decides how many more may come. Asks nobody.
 * Failures: `rate_limited`, with when the next request may be made.
 * @param now In milliseconds.
 */
export function checkLimits(
  rateCounters: RateCounters,
  limits: readonly Limit[],
  requests: number,
  now: number,
): Limit | undefined {
  let tightest: Limit | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const limit of limits) {
    const remaining = counterOf(rateCounters, limit)?.remaining(now) ?? limit.rate.burst;
    const needed = limit.uses ?? requests;
    if (remaining < needed) throw refusal(rateCounters, limit, needed, now);
    if (remaining >= least) continue;
    tightest = limit;
    least = remaining;
  }
  return tightest;
}

/** Kept with the limit for the next call. */
function counterOf(rateCounters: RateCounters, limit: Limit): Counter | undefined {
  if (limit.counter?.isKept !== true) limit.counter = rateCounters.find(limit.key);
  return limit.counter;
}

function refusal(rateCounters: RateCounters, limit: Limit, requests: number, now: number): Failure {
  const { rate, kind, key } = limit;
  const { waitMs, remaining } = rateCounters.status(key, rate);
  // A batch waits until all of it has room; one that is more than may come at once never has.
  const moreMs = (Math.max(requests - remaining - 1, 0) * rate.perMs) / rate.calls;
  const retryAfterSeconds = Math.max(Math.ceil((waitMs + moreMs) / 1000), 1);
  const allowed = `${rate.calls} requests in ${rate.perMs / 1000} s for ${whose[kind]}`;
  return new Failure(
    "rate_limited",
    `Too many requests: the limit is ${allowed}. Wait ${retryAfterSeconds} s before the next one, and make fewer: combine what can be asked at once, and do not repeat what has been answered.`,
    { retryAfterSeconds, headers: limitHeaders(limit, 0, now) },
  );
}

export function countTowards(
  rateCounters: RateCounters,
  limits: readonly Limit[],
  requests: number,
  now: number,
): void {
  for (const limit of limits) {
    const { key, rate, uses = requests } = limit;
    const counter = counterOf(rateCounters, limit) ?? rateCounters.counter(key, rate);
    limit.counter = rateCounters.count(counter, uses, now);
  }
}

/** As a client reads it (draft-ietf-httpapi-ratelimit-headers-07), after `requests` more. Seconds. */
export function limitHeaders(
  { rate, counter, headerValues }: Limit,
  requests: number,
  now: number,
): Readonly<Record<string, string>> {
  const remaining = counter?.remaining(now) ?? rate.burst;
  const resetMs = (counter?.resetMs(now) ?? 0) + (requests * rate.perMs) / rate.calls;
  return {
    "ratelimit-limit": headerValues.limit,
    "ratelimit-policy": headerValues.policy,
    "ratelimit-remaining": String(Math.max(remaining - requests, 0)),
    "ratelimit-reset": String(Math.ceil(resetMs / 1000)),
  };
}
