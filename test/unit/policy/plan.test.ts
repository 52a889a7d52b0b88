import { expect, test } from "bun:test";
import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import type { GuardsConfig } from "#src/config/guards.ts";
import { ToolInvocation, type PlanDeps, planFor, planForTool } from "#src/policy/plan.ts";
import { checkLimits, countTowards } from "#src/policy/limits.ts";
import type { KnownTool } from "#src/policy/tools/definitions.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { openCounters } from "#test/unit/policy/rates/counters.ts";

const pace = (calls: number) => ({ calls, perMs: 60_000, burst: calls });
const callerOf = (key: string): Caller =>
  ({ key, personId: undefined, accountId: undefined, policies: [], topics: [key] }) as never;
const upstreamOf = (name: string): Upstream => {
  const tools = { allow: null, deny: [], approve: [], limits: [], repeats: [] };
  return { name, credential: { kind: "none" }, tools } as never;
};

/** What plans are made of; `tools` are those that a list has shown. */
async function open(tools: Readonly<Record<string, KnownTool>> = {}) {
  const counters = openCounters(1);
  const guards: Partial<GuardsConfig> = {
    limits: { agent: pace(5), tool: pace(3) },
    budgets: [{ of: "agent", calls: 9, period: "minute" }],
    approval: "destructive",
  };
  const shown = { version: 1, tools };
  const definitions = {
    get version() {
      return shown.version;
    },
    find: (_: Upstream, name: string): KnownTool =>
      shown.tools[name] ?? { nature: undefined, state: "usable", isListed: false },
  };
  const app = {
    config: { guards },
    catalog: { providers: new Map() },
    rateCounters: counters.processes[0],
    definitions,
    plans: new WeakMap(),
    addressLimits: new Map(),
    digest: bunRuntime.digest,
  } as unknown as PlanDeps;
  return { app, shown, counters, [Symbol.asyncDispose]: () => counters[Symbol.asyncDispose]() };
}

test("two calls of a caller at an upstream go by one plan, and no two callers or upstreams share one", async () => {
  await using world = await open();
  const { app, counters } = world;
  const [first, other] = [callerOf("grant:1"), callerOf("grant:2")];
  const [here, there] = [upstreamOf("here"), upstreamOf("there")];
  const plan = planFor(app, first, here, counters.now);
  expect(planFor(app, first, here, counters.now)).toBe(plan);
  const others = [
    planFor(app, first, there, counters.now),
    planFor(app, other, here, counters.now),
    // The same grant, read anew: what narrows or ends it would be in this one.
    planFor(app, { ...first }, here, counters.now),
  ];
  expect(new Set([plan, ...others]).size).toBe(4);
});

test("a plan is made anew when definitions have changed, and when a budget's period has ended", async () => {
  const writes = { nature: "writing", state: "usable", isListed: true } as const;
  await using world = await open({ pay: writes });
  const { app, counters, shown } = world;
  const [caller, upstream] = [callerOf("grant:1"), upstreamOf("here")];
  const before = planFor(app, caller, upstream, counters.now);
  expect(planForTool(app, before, "pay").refusal).toBeUndefined();
  shown.tools = { pay: { ...writes, state: "held" } };
  shown.version += 1;
  const after = planFor(app, caller, upstream, counters.now);
  expect(planForTool(app, after, "pay").refusal?.().code).toBe("tool_held");
  const later = planFor(app, caller, upstream, after.endsAt);
  expect(later).not.toBe(after);
  expect(later.budgets[0]?.key).not.toBe(after.budgets[0]?.key);
});

test("of names that no list has shown nothing is kept, however many an agent makes up", async () => {
  await using world = await open({ echo: { nature: "reading", state: "usable", isListed: true } });
  const { app, counters } = world;
  const plan = planFor(app, callerOf("grant:1"), upstreamOf("here"), counters.now);
  for (let index = 0; index < 100; index += 1) planForTool(app, plan, `made up ${index}`);
  expect(planForTool(app, plan, "echo")).toBe(planForTool(app, plan, "echo"));
  expect([...plan.tools.keys()]).toEqual(["echo"]);
});

test("a plan goes on with the counter that has taken the place of its own", async () => {
  await using world = await open();
  const { app, counters } = world;
  const { rateCounters } = app;
  const [limit] = planFor(app, callerOf("grant:1"), upstreamOf("here"), counters.now).limits;
  const limits = limit === undefined ? [] : [limit];
  countTowards(rateCounters, limits, 5, counters.now);
  const first = limit?.counter;
  await counters.settle(["limit:agent:grant:1"]);
  // So many keys that the oldest go: everybody has been told of them.
  for (let index = 0; index < 50_000; index += 1) rateCounters.counter(`other ${index}`, pace(1));
  expect(first?.isKept).toBeFalse();
  countTowards(rateCounters, limits, 1, counters.now);
  expect(limit?.counter?.isKept).toBeTrue();
  await counters.settle(["limit:agent:grant:1"]);
  // What the others were told counts again.
  expect(() => checkLimits(rateCounters, limits, 1, counters.now)).toThrow("Too many requests");
});

test("looking at a limit makes no counter: names that are made up take nobody's place", async () => {
  await using world = await open();
  const { app, counters } = world;
  const plan = planFor(app, callerOf("grant:1"), upstreamOf("here"), counters.now);
  const { limits } = planForTool(app, plan, "made up");
  expect(checkLimits(app.rateCounters, limits, 1, counters.now)?.kind).toBe("tool");
  expect(limits.map(({ key }) => app.rateCounters.find(key))).toEqual([undefined, undefined]);
});

test("two tools that are called with the same arguments are two calls", async () => {
  await using world = await open();
  const { app, counters } = world;
  const plan = planFor(app, callerOf("grant:1"), upstreamOf("here"), counters.now);
  const written = { arguments: {}, canonical: "{}", request: "{}" };
  const deps = {
    bindingKey: new Uint8Array(32),
    tag: bunRuntime.tag,
    digest: bunRuntime.digest,
  };
  const invoke = (name: string) => new ToolInvocation(planForTool(app, plan, name), written, deps);
  expect(invoke("read").digest).not.toBe(invoke("write").digest);
  expect(invoke("read").hash).not.toBe(invoke("write").hash);
  expect(invoke("read").digest).toBe(invoke("read").digest);
});

test("the hash of arguments is the same before and after the call was settled, short or long", async () => {
  await using world = await open();
  const { app, counters } = world;
  const plan = planFor(app, callerOf("grant:1"), upstreamOf("here"), counters.now);
  const deps = {
    bindingKey: new Uint8Array(32),
    tag: bunRuntime.tag,
    digest: bunRuntime.digest,
  };
  for (const length of [2, 2048, 2049]) {
    const canonical = "x".repeat(length);
    const made = () =>
      new ToolInvocation(
        planForTool(app, plan, "read"),
        { arguments: {}, canonical, request: canonical },
        deps,
      );
    const [untouched, settled, later] = [made(), made(), made()];
    settled.settle();
    later.settleWithoutHash();
    const asked = [untouched, settled, later].map(({ hash, digest }) => ({ hash, digest }));
    expect(asked).toEqual(Array(3).fill(asked[0]));
    expect([settled.written, later.written]).toEqual([undefined, undefined]);
    expect(later.requestHash()).toBe(untouched.requestHash());
  }
});
