import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { GuardsConfig, Rate } from "#src/config/guards.ts";
import { Failure } from "#src/failure.ts";
import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { unknownAddress } from "#src/http/address.ts";
import {
  type Limit,
  checkLimits,
  countTowards,
  limitHeaders,
  limitOfTool,
  limitsOf,
  limitsOfCaller,
} from "#src/policy/limits.ts";
import { check } from "#test/support/property.ts";
import type { RateCounters } from "#src/policy/rates/rate-counters.ts";
import { openCounters } from "#test/unit/policy/rates/counters.ts";

const paces: fc.Arbitrary<Rate> = fc.record({
  calls: fc.integer({ min: 1, max: 600 }),
  perMs: fc.constantFrom(1000, 10_000, 60_000, 3_600_000),
  burst: fc.integer({ min: 1, max: 40 }),
});
const limitOf = (rateCounters: RateCounters, rate: Rate, kind: Limit["kind"] = "agent"): Limit => ({
  kind,
  rate,
  key: kind,
  headerValues: { limit: String(rate.burst), policy: "" },
  counter: rateCounters.counter(kind, rate),
});

/** Seconds to wait; 0 when there is room. */
function waitOf(attempt: () => unknown): number {
  try {
    attempt();
    return 0;
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "rate_limited") throw error;
    return error.details.retryAfterSeconds ?? Number.NaN;
  }
}

test("Retry-After is never too early: whoever waits that long has room, one request or a batch", async () => {
  await check(
    fc.asyncProperty(paces, fc.nat(), fc.nat({ max: 2000 }), async (rate, more, pause) => {
      await using counters = openCounters(1);
      const rateCounters = counters.processes[0]!;
      const limits = [limitOf(rateCounters, rate)];
      countTowards(rateCounters, limits, rate.burst, counters.now);
      counters.now += pause;
      const { remaining } = rateCounters.status("agent", rate);
      // A batch for which some of the room is there already is another matter.
      const requests = remaining === 0 ? 1 + (more % rate.burst) : 1;
      const seconds = waitOf(() => checkLimits(rateCounters, limits, requests, counters.now));
      expect(seconds === 0).toBe(remaining > 0);
      if (seconds === 0) return;
      expect(seconds).toBeGreaterThanOrEqual(1);
      expect(seconds).toBeLessThanOrEqual((requests * rate.perMs) / rate.calls / 1000 + 1.01);
      counters.now += seconds * 1000;
      expect(waitOf(() => checkLimits(rateCounters, limits, requests, counters.now))).toBe(0);
    }),
    { cases: 200 },
  );
});

test("of several limits the tightest decides, and one that is exceeded refuses although others have room", async () => {
  await using counters = openCounters(1);
  const rateCounters = counters.processes[0]!;
  const wide = limitOf(rateCounters, { calls: 100, perMs: 60_000, burst: 100 }, "person");
  const narrow = limitOf(rateCounters, { calls: 3, perMs: 60_000, burst: 3 }, "agent");
  expect(checkLimits(rateCounters, [wide, narrow, wide], 1, counters.now)).toBe(narrow);
  expect(checkLimits(rateCounters, [], 1, counters.now)).toBeUndefined();
  countTowards(rateCounters, [wide, narrow], 3, counters.now);
  expect(waitOf(() => checkLimits(rateCounters, [wide, narrow], 1, counters.now))).toBe(20);
  // Looking at it counts nothing.
  expect(rateCounters.status("person", wide.rate).remaining).toBe(97);
});

test("what the headers promise is there: so many more requests, and all of it after the reset", async () => {
  await check(
    fc.asyncProperty(paces, fc.nat(), async (rate, more) => {
      await using counters = openCounters(1);
      const rateCounters = counters.processes[0]!;
      const limits = [limitOf(rateCounters, rate)];
      const tightest = checkLimits(rateCounters, limits, 1, counters.now)!;
      const requests = 1 + (more % rate.burst);
      const headers = limitHeaders(tightest, requests, counters.now);
      countTowards(rateCounters, limits, requests, counters.now);
      expect(Number(headers["ratelimit-limit"])).toBe(rate.burst);
      expect(Number(headers["ratelimit-remaining"])).toBe(
        rateCounters.status("agent", rate).remaining,
      );
      counters.now += Number(headers["ratelimit-reset"]) * 1000;
      expect(rateCounters.status("agent", rate).remaining).toBe(rate.burst);
    }),
    { cases: 100 },
  );
});

const caller = { key: "grant:1", personId: "person", accountId: undefined } as unknown as Caller;
const upstreamWith = (limits: Upstream["tools"]["limits"] = []) =>
  ({ name: "airtable", tools: { limits } }) as unknown as Upstream;

const depsWith = (limits: GuardsConfig["limits"], clientAddressHeader: string | undefined) => ({
  config: { guards: { limits }, clientAddressHeader },
  addressLimits: new Map<string, Limit>(),
});

/** What a call of these tools counts towards. */
function limitsFor(
  limits: GuardsConfig["limits"],
  tools: readonly string[],
  upstream = upstreamWith(),
) {
  const app = depsWith(limits, undefined);
  const ofCaller = limitsOfCaller(limits, { caller, upstream });
  return limitsOf(app, {
    plan: { limits: ofCaller, addressSeen: undefined },
    at: 0,
    tools: tools.map((name) => {
      const limit = limitOfTool(limits, upstream, { name, nature: undefined });
      return { name, plan: { limit, limits: [...ofCaller, ...(limit ? [limit] : [])] } };
    }),
    address: () => "192.0.2.1",
  });
}

const rate = (calls: number): Rate => ({ calls, perMs: 1000, burst: calls });

test("a call counts towards every limit that is set and that it has a name for", () => {
  const all = {
    agent: rate(1),
    person: rate(2),
    account: rate(3),
    upstream: rate(4),
    address: rate(5),
  };
  const found = limitsFor(all, []);
  // It has no account.
  expect(found.map(({ key }) => key)).toEqual([
    "limit:agent:grant:1",
    "limit:person:person",
    "limit:upstream:airtable",
    "limit:address:192.0.2.1",
  ]);
  expect(limitsFor({}, ["a"])).toEqual([]);
});

test("a tool counts as often as it is called, by the first rule that fits it, else by the limit of all tools", () => {
  const upstream = upstreamWith([
    ["dr*", rate(1)],
    ["*p", rate(2)],
  ]);
  const tools = ["list", "drop", "list", "li\0st"];
  const found = limitsFor({ tool: rate(9) }, tools, upstream);
  expect(found.map(({ key, rate: of, uses }) => [key, of.calls, uses])).toEqual([
    ["limit:tool:airtable/list", 9, 2],
    ["limit:tool:airtable/drop", 1, 1],
    ["limit:tool:airtable/list", 9, 1],
  ]);
});

test("the address of a caller's connection is asked for once a second, what a proxy says of it with each call", () => {
  const limits = { address: { calls: 1, perMs: 1000, burst: 1 } };
  const seenAt = (header: string | undefined) => {
    const app = depsWith(limits, header);
    const plan = { limits: [], addressSeen: undefined };
    let asked = 0;
    return (at: number) => {
      const address = () => `192.0.2.${++asked}`;
      return limitsOf(app, { plan, tools: [], at, address })[0]?.key.split(".").at(-1);
    };
  };
  // The last one after the clock was set back.
  const times = [5000, 5001, 5999, 6000, 6500, 1000];
  expect(times.map(seenAt(undefined))).toEqual(["1", "1", "1", "2", "2", "3"]);
  expect(times.map(seenAt("x-real-ip"))).toEqual(["1", "2", "3", "4", "5", "6"]);
});

test("who has gone in the middle of a body counts where the caller was seen before, and is not remembered", () => {
  const limits = { address: { calls: 1, perMs: 1000, burst: 1 } };
  for (const header of [undefined, "x-real-ip"]) {
    const app = depsWith(limits, header);
    const plan = { limits: [], addressSeen: undefined };
    const countedAt = (at: number, address: string) =>
      limitsOf(app, { plan, tools: [], at, address: () => address })[0]?.key;
    expect(countedAt(0, unknownAddress)).toBe("limit:address:unknown");
    expect(countedAt(1, "192.0.2.1")).toBe("limit:address:192.0.2.1");
    expect(countedAt(5000, unknownAddress)).toBe("limit:address:192.0.2.1");
    expect(countedAt(5001, "192.0.2.2")).toBe("limit:address:192.0.2.2");
  }
});
