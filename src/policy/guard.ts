import type { App } from "#src/app.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { problemWith } from "#src/upstreams/tools/arguments.ts";
import { packTool } from "#src/upstreams/tools/tool-servers.ts";
import { timely } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { type Used, expectApproval } from "./approvals/approval.ts";
import { giveBack } from "./approvals/store.ts";
import type { BodyRoom } from "#src/http/body.ts";
import { checkBudgets, spend } from "./budgets.ts";
import {
  type CallContext,
  type ToolInvocation,
  actsIn,
  requestsIn,
  type PlanDeps,
} from "./plan.ts";
import {
  type Limit,
  type LimitDeps,
  checkLimits,
  countTowards,
  limitHeaders,
  limitsOf,
} from "./limits.ts";
import type { Loops, ToolOutcome } from "./loops.ts";
import type { Place, ProviderRate } from "./provider-rate.ts";
import type { Switches } from "./switches.ts";

/*
 * May this call go ahead?
 *
 *   admit     before a big body is read, after a small one: switches, what is under way, room in the limits
 *   decide    switches → rules of tools → budgets → limits → loops ─┬─> PolicyDecision, at once
 *             a person's yes, the provider's rate, other replicas ──┴─> PolicyDecision, later
 *   ended     how it went, for the loops and the provider's rate
 */

/** What policy leans on. */
export type PolicyDeps = Pick<App, "config" | "db" | "now" | "seal" | "publicUrl" | "log"> &
  PlanDeps &
  LimitDeps & {
    readonly switches: Switches;
    readonly loops: Loops;
    readonly providerRate: ProviderRate;
    /** Calls that wait for their answer, by caller. */
    readonly underWay: Map<string, number>;
    readonly bodyRoom: BodyRoom;
    /** Event streams that are open, by what they rest on: their caller among it. */
    readonly openStreams: OpenStreams;
  };

type OpenStreams = { countOf(subject: string): number };

/**
 * Whether a request may come in at all, before a big body is read and after a small one: what is switched off, how
 * many of the caller are under way, and whether its limits have room for one more. Until the result is called, it is
 * under way.
 * Failures: `upstream_switched_off`, `switched_off`, `agent_stopped`, `too_many_at_once`, `rate_limited`.
 */
export function admit(app: PolicyDeps, call: CallContext): () => void {
  app.switches.check(call.plan.topics);
  checkAtOnce(app, call);
  checkLimits(app.rateCounters, limitsOf(app, call), 1, call.at);
  return begin(app, call.caller.key);
}

/**
 * A body that has not come keeps a place among the calls of its caller while it is waited for, until the result is
 * called. Failures: `too_many_at_once`.
 */
export function admitWaiting(app: PolicyDeps, { caller }: CallContext): () => void {
  checkCallsAtOnce(app, caller.key);
  return begin(app, caller.key);
}

/** A body that could not be used counts as a request: reading it has cost as much. */
export function countUnusable(app: PolicyDeps, call: CallContext): void {
  countTowards(app.rateCounters, limitsOf(app, call), 1, call.at);
}

function checkAtOnce(app: PolicyDeps, { caller, httpMethod }: CallContext): void {
  checkCallsAtOnce(app, caller.key);
  if (httpMethod !== "DELETE") expectStreamPlace(app, caller.key);
}

function checkCallsAtOnce({ config, underWay }: PolicyDeps, key: string): void {
  const calls = underWay.get(key) ?? 0;
  if (calls < config.guards.callsAtOnce) return;
  const message = `${calls} calls of this agent are under way already. Wait for some to end before the next.`;
  throw new Failure("too_many_at_once", message, { retryAfterSeconds: 1 });
}

/** Whether a caller may open another event stream. Failures: `too_many_at_once`. */
export function expectStreamPlace(
  { config, openStreams }: Pick<App, "config"> & { readonly openStreams: OpenStreams },
  key: string,
): void {
  const streams = openStreams.countOf(key);
  if (streams < config.guards.streamsAtOnce) return;
  const message = `${streams} event streams of this agent are open already. Close some of them.`;
  throw new Failure("too_many_at_once", message, { retryAfterSeconds: 10 });
}

/** Counts a call of a caller as under way until the result is called, however often. */
function begin({ underWay }: Pick<PolicyDeps, "underWay">, key: string): () => void {
  underWay.set(key, (underWay.get(key) ?? 0) + 1);
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    const left = (underWay.get(key) ?? 1) - 1;
    if (left > 0) underWay.set(key, left);
    else underWay.delete(key);
  };
}

/**
 * Whether this may go ahead: switches, rules of tools, budgets, limits, loops, approvals, the provider's own
 * rate. At once, unless a person has to agree, a loop is about to be refused, the provider has to be waited for, or so
 * much was counted here that the other replicas have to hear of it first.
 * @param state What came back with the answer to our own question.
 */
export function decide(
  app: PolicyDeps,
  call: CallContext,
  state: string | undefined,
): PolicyDecision | Promise<PolicyDecision> {
  checkSwitches(app, call);
  checkTools(call);
  const limits = limitsOf(app, call);
  const places = call.plan.isPaced ? app.providerRate.placesOf(call) : none;
  const decision = new PolicyDecision(app, call, places);
  decision.check(limits);
  const asking = app.config.guards.findsLoops ? app.loops.check(call) : undefined;
  if (asking !== undefined || decision.needsSync(limits))
    return later(decision, limits, asking, state);
  decision.count(limits);
  return decision.needsMore ? furtherChecks(decision, state) : decision;
}

const noHeaders: Readonly<Record<string, string>> = {};
const none: readonly never[] = [];

async function later(
  decision: PolicyDecision,
  limits: readonly Limit[],
  asking: Promise<void> | undefined,
  state: string | undefined,
): Promise<PolicyDecision> {
  await asking;
  await decision.untilSynced(limits);
  // Others may have counted meanwhile.
  decision.check(limits);
  decision.count(limits);
  return await furtherChecks(decision, state);
}

async function furtherChecks(
  decision: PolicyDecision,
  state: string | undefined,
): Promise<PolicyDecision> {
  try {
    await decision.expectApproval(state);
    await decision.awaitTurn();
    return decision;
  } catch (error) {
    decision.withdraw();
    throw error;
  }
}

function checkSwitches(app: PolicyDeps, { plan, tools }: CallContext): void {
  app.switches.check(plan.topics);
  for (const tool of tools) {
    if (app.switches.isOff(tool.plan.subject)) app.switches.check([tool.plan.subject]);
  }
}

/**
 * Whether every tool in it may be used: by the rules of the upstream, of the agent and of the permission, and
 * because its definition is approved. Failures: `tool_refused`, `tool_held`, `message_invalid` for one without a name.
 */
function checkTools({ methods, tools }: CallContext): void {
  let calls = 0;
  for (const method of methods) if (method === "tools/call") calls += 1;
  if (calls !== tools.length) {
    throw new Failure("message_invalid", "tools/call needs the name of a tool");
  }
  for (const { plan } of tools) if (plan.refusal !== undefined) throw plan.refusal();
}

/** A database that is slow to add up holds nobody longer. */
const longestWaitMs = 250;

/** A call while it is decided, and what is owed for it once it was let through. */
export class PolicyDecision {
  /** `RateLimit-*`, for the answer. */
  headers: Readonly<Record<string, string>> = noHeaders;
  readonly #app: PolicyDeps;
  readonly #call: CallContext;
  readonly #places: readonly Place[];
  readonly #acts: number;
  #used: Used | undefined;
  #tightest: Limit | undefined;

  constructor(app: PolicyDeps, call: CallContext, places: readonly Place[]) {
    this.#app = app;
    this.#call = call;
    this.#places = places;
    this.#acts = actsIn(call);
  }

  /** What has been decided for the audit trail: `approved_once`, `approved_hour`, `approved_always`. */
  get approval(): string | undefined {
    return this.#used === undefined ? undefined : `approved_${this.#used.extent ?? "once"}`;
  }

  /** Failures: `budget_spent`, `rate_limited`. */
  check(limits: readonly Limit[]): void {
    const { rateCounters } = this.#app;
    const { plan, at } = this.#call;
    checkBudgets(rateCounters, plan.budgets, this.#acts, at);
    this.#tightest = checkLimits(rateCounters, limits, requestsIn(this.#call), at);
  }

  /** Whether the other replicas have to hear first of what was counted here. */
  needsSync(limits: readonly Limit[]): boolean {
    const { rateCounters } = this.#app;
    const { plan, at } = this.#call;
    for (const { counter } of limits) {
      if (counter !== undefined && rateCounters.needsSync(counter, at)) return true;
    }
    for (const { counter } of plan.budgets) if (rateCounters.needsSync(counter, at)) return true;
    return false;
  }

  /** What was counted here is told first, where the other replicas have to hear of it. */
  async untilSynced(limits: readonly Limit[]): Promise<void> {
    const { rateCounters, now } = this.#app;
    const until = now().getTime() + longestWaitMs;
    while (this.needsSync(limits)) {
      await rateCounters.told();
      if (now().getTime() >= until) return;
    }
  }

  /** Counts it towards every limit and budget. */
  count(limits: readonly Limit[]): void {
    const { rateCounters } = this.#app;
    const { plan, at } = this.#call;
    const requests = requestsIn(this.#call);
    if (this.#tightest !== undefined) this.headers = limitHeaders(this.#tightest, requests, at);
    countTowards(rateCounters, limits, requests, at);
    spend(rateCounters, plan.budgets, this.#acts, at);
  }

  /** A person has to agree, or the provider has to be waited for. */
  get needsMore(): boolean {
    if (this.#places.length > 0) return true;
    for (const { plan } of this.#call.tools) if (plan.needsApproval) return true;
    return false;
  }

  /** Failures: those of `expectApproval`. */
  async expectApproval(state: string | undefined): Promise<void> {
    const call = this.#call;
    const tool = call.tools.find(({ plan }) => plan.needsApproval);
    if (tool === undefined || (await refusesItself(call, tool))) return;
    if (call.methods.length > 1) {
      const message = `A person has to allow ${tool.name}: send it alone, not in a batch.`;
      throw new Failure("approval_needed", message);
    }
    this.#used = await expectApproval(this.#app, call, tool, state);
  }

  /** Failures: `provider_pace`, and those of switches: it may have been switched off while this waited. */
  async awaitTurn(): Promise<void> {
    await this.#app.providerRate.wait(this.#call, this.#places);
    checkSwitches(this.#app, this.#call);
  }

  /** Nothing came of it: what it spent is there again. */
  withdraw(): void {
    const { plan } = this.#call;
    spend(this.#app.rateCounters, plan.budgets, -this.#acts, this.#app.now().getTime());
    this.#returnApproval();
  }

  /** How its call of a tool ended. `text` is only looked at of what failed. `now` is in milliseconds. */
  ended(
    outcome: ToolOutcome & { readonly asksFirst: boolean },
    text: string | Buffer,
    now: number,
  ) {
    const { config, loops, providerRate } = this.#app;
    if (config.guards.findsLoops) loops.note(this.#call, outcome, now);
    if (outcome.asksFirst) this.#returnApproval();
    if (
      outcome.isError &&
      this.#places.length > 0 &&
      providerRate.saysTooMuch(this.#call, text.toString())
    ) {
      providerRate.punished(this.#places, undefined);
    }
  }

  /** The upstream has said that it was too much. */
  punished(retryAfterSeconds: number | undefined): void {
    this.#app.providerRate.punished(this.#places, retryAfterSeconds);
  }

  /** Counts it as under way for longer, until the result is called. */
  stay(): () => void {
    return begin(this.#app, this.#call.caller.key);
  }

  #returnApproval(): void {
    if (this.#used?.extent !== "once") return;
    const { db, log } = this.#app;
    timely(giveBack(db, this.#used.id)).catch((error: unknown) =>
      log.warn("approval_not_given_back", { ...errorFields(error), code: asFailure(error).code }),
    );
  }
}

/** A tool of ours that will not take these arguments: nobody has to be asked about what is not going to happen. */
async function refusesItself(
  { upstream }: CallContext,
  { name, written }: ToolInvocation,
): Promise<boolean> {
  const own = packTool(upstream, name);
  if (own === undefined) return false;
  return (await problemWith(own, written?.arguments ?? {})) !== undefined;
}
