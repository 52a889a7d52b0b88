import type { Caller } from "#src/oauth-server/caller.ts";
import type { Provider } from "#src/providers/provider.ts";
import type { Catalog } from "#src/upstreams/catalog.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import type { Rate } from "#src/config/guards.ts";
import type { Config } from "#src/config/load.ts";
import type { Failure } from "#src/failure.ts";
import type { Digest, DigestOf } from "#src/runtime/runtime.ts";
import { type RunningBudget, runningBudgets } from "./budgets.ts";
import { type AddressSeen, type Limit, limitOfTool, limitsOfCaller } from "./limits.ts";
import { switchedOff } from "./switches.ts";
import { type RateCounters, inKey } from "./rates/rate-counters.ts";
import type { Definitions, KnownTool } from "./tools/definitions.ts";
import type { Nature } from "./tools/patterns.ts";
import { needsApproval, refusalOf, repeatPaceOf } from "./tools/rules.ts";
import { scopeFor } from "#src/oauth-server/scopes.ts";
import type { TagOf } from "#src/crypto/secret.ts";

/*
 * What policy knows: of a caller at an upstream (plans, which hold for many calls), and of one call, its tools and what
 * they say.
 */

/**
 * What does not change between two calls of one caller at one upstream: a call compares numbers.
 *
 *   caller (5 s old at most) × upstream ──┐
 *   settings, limits, budgets ────────────┼─> CallerPlan ─ per tool that a list has shown ─> ToolPlan
 *   definitions (by their version) ───────┘
 *
 * It hangs on the cached caller and goes with it: whatever ends or narrows a caller empties that cache. A plan that is
 * older than the definitions, or than a period of a budget, is made anew.
 */
export type CallerPlan = {
  readonly caller: Caller;
  readonly upstream: Upstream;
  /** Everything that can be switched off and would stop it, but its tools. */
  readonly topics: readonly string[];
  /** What ends an open stream: all of that, and whatever its bearer rests on. */
  readonly endingTopics: readonly string[];
  /** Whose account the calls use, if it is one's. */
  readonly provider: Provider | undefined;
  /** That provider wants only so many calls in a while. */
  readonly isPaced: boolean;
  /** Without those of an address and of a tool. */
  readonly limits: readonly Limit[];
  readonly budgets: readonly RunningBudget[];
  /** Milliseconds: then a budget's period ends. */
  readonly endsAt: number;
  readonly definitions: number;
  readonly tools: Map<string, ToolPlan>;
  /** The one thing in it that changes: see `limitsOf`. */
  addressSeen: AddressSeen | undefined;
};

/** The same of one tool. */
export type ToolPlan = {
  readonly name: string;
  readonly nature: Nature | undefined;
  /** Why it may not be used at all. */
  readonly refusal: (() => Failure) | undefined;
  readonly needsApproval: boolean;
  readonly limit: Limit | undefined;
  /** With those of the caller. */
  readonly limits: readonly Limit[];
  /** How often the same call may bring the same result; undefined where the operator wants no watch over it. */
  readonly repeats: Rate | undefined;
  /** Under which failures of it are counted. */
  readonly failureKey: string;
  /** What can be switched off, and what then ends an open stream of this caller. */
  readonly subject: string;
  readonly endingTopics: readonly string[];
  /** What hashes of its arguments are bound to. */
  readonly hashContext: string;
  /** The same for digests of this process. */
  readonly hashSeed: Digest;
};

export type PlanDeps = {
  readonly config: Pick<Config, "guards">;
  readonly catalog: Pick<Catalog, "providers">;
  readonly definitions: Definitions;
  readonly rateCounters: RateCounters;
  readonly plans: Plans;
  readonly digest: DigestOf;
};

/** Plans by caller and upstream; they end with the callers they hang on. */
export type Plans = WeakMap<Caller, Map<string, CallerPlan>>;

/** @param now In milliseconds. */
export function planFor(
  app: PlanDeps,
  caller: Caller,
  upstream: Upstream,
  now: number,
): CallerPlan {
  const plans = app.plans.get(caller) ?? new Map<string, CallerPlan>();
  const known = plans.get(upstream.name);
  if (known !== undefined && known.definitions === app.definitions.version && now < known.endsAt) {
    return known;
  }
  const plan = planned(app, caller, upstream, now);
  // As many as there are upstreams.
  plans.set(upstream.name, plan);
  app.plans.set(caller, plans);
  return plan;
}

function planned(app: PlanDeps, caller: Caller, upstream: Upstream, now: number): CallerPlan {
  const { limits, budgets } = app.config.guards;
  const running = runningBudgets(app.rateCounters, budgets, caller, now);
  const topics = topicsOfCaller(caller, upstream);
  const endingTopics = new Set([...caller.topics, caller.key, ...topics.map(switchedOff)]);
  const provider =
    upstream.credential.kind === "account"
      ? app.catalog.providers.get(upstream.credential.provider)
      : undefined;
  return {
    caller,
    upstream,
    provider,
    isPaced: provider?.callLimits !== undefined,
    addressSeen: undefined,
    topics,
    endingTopics: [...endingTopics],
    limits: limitsOfCaller(limits, { caller, upstream }),
    budgets: running,
    endsAt: Math.min(...running.map(({ sum }) => sum.endsAt), Number.POSITIVE_INFINITY),
    definitions: app.definitions.version,
    tools: new Map(),
  };
}

/** Of a tool that no list has shown none is kept: names are the agent's to choose. */
export function planForTool(app: PlanDeps, plan: CallerPlan, name: string): ToolPlan {
  const kept = plan.tools.get(name);
  if (kept !== undefined) return kept;
  const known = app.definitions.find(plan.upstream, name);
  const made = plannedTool(app, plan, name, known);
  if (known.nature !== undefined) plan.tools.set(name, made);
  return made;
}

function plannedTool(
  app: PlanDeps,
  { caller, upstream, endingTopics, limits }: CallerPlan,
  name: string,
  known: KnownTool,
): ToolPlan {
  const { guards } = app.config;
  const subject = `tool:${upstream.name}/${name}`;
  const { nature } = known;
  const hashContext = JSON.stringify([upstream.name, name]);
  const limit = limitOfTool(guards.limits, upstream, { name, nature });
  return {
    name,
    nature,
    refusal: refusalOf({ caller, upstream }, name, known),
    needsApproval: needsApproval(guards.approval, { caller, upstream }, name, known),
    limit,
    limits: limit === undefined ? limits : [...limits, limit],
    repeats: repeatPaceOf(upstream, name, nature),
    failureKey: `failures:${caller.key}:${upstream.name}/${inKey(name.slice(0, 128))}`,
    subject,
    endingTopics: [...endingTopics, switchedOff(subject)],
    hashContext,
    hashSeed: app.digest(hashContext),
  };
}

/** Everything that can be switched off and would stop anybody's call to an upstream, the widest first. */
export function topicsOfUpstream({ name, credential }: Upstream): readonly string[] {
  const provider = credential.kind === "account" ? [`provider:${credential.provider}`] : [];
  return ["all", `upstream:${name}`, ...provider];
}

/** The same of the calls of one caller, but for their tools. */
export function topicsOfCaller(
  { accountId, agent, key }: Caller,
  upstream: Upstream,
): readonly string[] {
  return [
    ...topicsOfUpstream(upstream),
    ...(accountId === undefined ? [] : [`account:${accountId}`]),
    ...(agent === undefined ? [] : [`agent:${agent}`]),
    key,
  ];
}

/** What a call of a tool says, as it was written. */
export type Written = {
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The same text for the same arguments, in whatever order they were written (see `canonicalJson`). */
  readonly canonical: string;
  /** The same of everything that reaches the upstream and that a person agrees to. */
  readonly request: string;
};

/** One call of a tool in a message. */
export type ToolCall = { readonly name: string; readonly written: Written };

/** What hashes of arguments are made with: one that leaves this process, and one that does not. */
export type HashDeps = {
  readonly bindingKey: Uint8Array;
  readonly digest: DigestOf;
  readonly tag: TagOf;
};

/** Arguments up to this many characters are kept until their hash is made. */
const mostKept = 2048;

/** One call of a tool. What it says is worked out when a guard asks for it; `settle` lets go of it. */
export class ToolInvocation {
  readonly plan: ToolPlan;
  readonly #hashing: HashDeps;
  #written: Written | undefined;
  #canonical: string | undefined;
  #hash: string | undefined;
  #digest: Digest | undefined;

  constructor(plan: ToolPlan, written: Written, hashing: HashDeps) {
    this.plan = plan;
    this.#written = written;
    this.#hashing = hashing;
  }

  get name(): string {
    return this.plan.name;
  }

  /** Of upstream, name and arguments, keyed, for this process alone: enough to tell whether it was the same before. */
  get digest(): Digest {
    const { digest } = this.#hashing;
    return (this.#digest ??= digest(this.#written?.canonical ?? "", this.plan.hashSeed));
  }

  /** Keyed hash of upstream, name and canonical arguments: short ones could be guessed from a plain hash. */
  get hash(): string {
    this.#hash ??= this.#tag("call", this.#canonical ?? this.#written?.canonical ?? "");
    this.#canonical = undefined;
    return this.#hash;
  }

  /** What it says; undefined once it was settled. */
  get written(): Written | undefined {
    return this.#written;
  }

  /** Keyed hash of what a person agrees to: the arguments alone where the call says nothing else. */
  requestHash(): string {
    const { canonical, request } = this.#written ?? {};
    return request === canonical ? this.hash : this.#tag("request", request ?? "");
  }

  /** Lets go of what the call says; digests of fixed size remain. */
  settle(): void {
    if (this.#written === undefined) return;
    this.#hash = this.hash;
    this.#digest = this.digest;
    this.#written = undefined;
  }

  /** The same, but short arguments are kept until `hash` is read: for whoever reads it soon, and nobody waits. */
  settleWithoutHash(): void {
    const canonical = this.#written?.canonical;
    if (canonical === undefined || canonical.length > mostKept) return this.settle();
    this.#digest = this.digest;
    this.#canonical = canonical;
    this.#written = undefined;
  }

  #tag(kind: "call" | "request", text: string): string {
    const { tag, bindingKey } = this.#hashing;
    return tag(bindingKey, `${kind}:${this.plan.hashContext}`, text);
  }
}

/** A call as policy sees it, before it is sent; filled in as more of it is known. */
export type CallContext = {
  readonly caller: Caller;
  readonly upstream: Upstream;
  readonly httpMethod: string;
  /** The client's network, asked for only when something is about it. */
  address: () => string;
  /** Made anew when the body has come: what has changed meanwhile counts. */
  plan: CallerPlan;
  /** The one reading of the clock that all of its checks go by, in milliseconds. */
  at: number;
  /** Of every message in it; none before its body was read, as of `tools`. */
  methods: readonly string[];
  tools: readonly ToolInvocation[];
};

/** The calls of tools in a message, each with its plan. */
export function invocationsOf(
  app: PlanDeps & HashDeps,
  plan: CallerPlan,
  calls: readonly ToolCall[],
): readonly ToolInvocation[] {
  const made: ToolInvocation[] = [];
  for (const { name, written } of calls) {
    made.push(new ToolInvocation(planForTool(app, plan, name), written, app));
  }
  return made;
}

/** How many requests it counts as. */
export function requestsIn({ methods }: Pick<CallContext, "methods">): number {
  return methods.length > 1 ? methods.length : 1;
}

/** How many messages in it do something: lists and notifications cost nobody anything. */
export function actsIn({ methods }: Pick<CallContext, "methods">): number {
  let acts = 0;
  for (const method of methods) {
    if (method === "tools/call" || scopeFor(method) !== "mcp:read") acts += 1;
  }
  return acts;
}

/** Whatever ends its stream, or the call itself while it waits: one list for all calls of one tool by one caller. */
export function endingTopicsOf({ plan, tools }: CallContext): readonly string[] {
  const [only] = tools;
  if (only === undefined) return plan.endingTopics;
  if (tools.length === 1) return only.plan.endingTopics;
  return [...new Set(tools.flatMap((tool) => tool.plan.endingTopics))];
}

/** The only call of a tool in it. Of a batch nobody knows which result is whose. */
export function onlyTool({ tools, methods }: CallContext): ToolInvocation | undefined {
  return tools.length === 1 && methods.length === 1 ? tools[0] : undefined;
}
