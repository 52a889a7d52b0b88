import type { Caller } from "#src/oauth-server/caller.ts";
import type { Provider } from "#src/providers/provider.ts";
import type { Catalog } from "#src/upstreams/catalog.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import type { GuardsConfig, Rate } from "#src/config/guards.ts";
import type { Failure } from "#src/failure.ts";
import type { Digest, DigestOf } from "#src/runtime/runtime.ts";
import { type RunningBudget, runningBudgets } from "./budgets.ts";
import { type Limit, limitOfTool, limitsOfCaller } from "./limits.ts";
import { switchedOff } from "./switches.ts";
import { type RateCounters, inKey } from "./rates/rate-counters.ts";
import type { Definitions, KnownTool } from "./tools/definitions.ts";
import type { Nature } from "./tools/patterns.ts";
import { needsApproval, refusalOf, repeatPaceOf } from "./tools/rules.ts";

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
  readonly config: { readonly guards: GuardsConfig };
  readonly catalog: Pick<Catalog, "providers">;
  readonly definitions: Definitions;
  readonly rateCounters: RateCounters;
  readonly plans: Plans;
  readonly digest: DigestOf;
  readonly addressLimits: Map<string, Limit>;
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
