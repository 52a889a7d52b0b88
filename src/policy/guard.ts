import type { App } from "#src/app.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { timely } from "#src/once.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";
import { type Used, expectApproval } from "./approvals/approval.ts";
import { giveBack } from "./approvals/store.ts";
import { budgetsOf, checkBudgets, spend } from "./budgets.ts";
import { type Deed, actsIn, requestsIn, sceneOf } from "./deed.ts";
import type { BodyRoom } from "./body-room.ts";
import { checkLimits, countTowards, limitHeaders, limitsOf } from "./limits.ts";
import type { Loops, ToolOutcome } from "./loops/loops.ts";
import type { ProviderPace } from "./provider-pace.ts";
import type { Switches } from "./switches.ts";
import type { Tally } from "./tally/tally.ts";
import type { Definitions } from "./tools/definitions.ts";
import type { NatureOf } from "./tools/patterns.ts";
import { checkTools, needsApproval } from "./tools/rules.ts";

/** What guards lean on. */
export type Guarding = Pick<App, "config" | "db" | "now" | "seal" | "publicUrl" | "log"> & {
  readonly switches: Switches;
  readonly definitions: Definitions;
  readonly tally: Tally;
  readonly loops: Loops;
  readonly providerPace: ProviderPace;
  /** Calls that wait for their answer, by caller. */
  readonly underWay: Map<string, number>;
  readonly bodyRoom: BodyRoom;
};

/** A deed that guards have let through. */
export type Passed = {
  /** `RateLimit-*`, for the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** What has been decided for the audit trail: `approved_once`, `approved_hour`, `approved_always`. */
  readonly decision: string | undefined;
  /** How its call of a tool ended. */
  ended(outcome: ToolOutcome & { readonly asksFirst: boolean; readonly text: string }): void;
  /** The upstream has said that it was too much. */
  punished(retryAfterSeconds: number | undefined): void;
  /** Counts it as under way for longer, until the result is called. */
  stay(): () => void;
};

/** A request whose body has not been read. */
export type Arrival = Pick<Deed, "caller" | "upstream" | "address" | "httpMethod"> & {
  /** Event streams that the caller has open. */
  readonly streams: number;
};

/**
 * Whether a request may come in at all, before its body is read: what is switched off, how many of the caller are
 * under way, and whether its limits have room for one more. Until the result is called, it is under way.
 * Failures: `upstream_switched_off`, `switched_off`, `agent_stopped`, `too_many_at_once`, `rate_limited`.
 */
export function admit(app: Guarding, arrival: Arrival): () => void {
  app.switches.check(sceneOf({ ...arrival, tools: [] }));
  checkAtOnce(app, arrival);
  checkLimits(app.tally, limitsOfArrival(app, arrival), 1);
  return begin(app, arrival);
}

/** A body that could not be used counts as a request: reading it has cost as much. */
export function countUnusable(app: Guarding, arrival: Arrival): void {
  countTowards(app.tally, limitsOfArrival(app, arrival), 1);
}

function limitsOfArrival({ config }: Guarding, arrival: Arrival) {
  return limitsOf(config.guards.limits, { ...arrival, methods: [], tools: [] }, () => undefined);
}

/** A database that is slow to add up holds nobody longer. */
const longestWaitMs = 250;

/**
 * Whether this may go ahead: switches, rules of tools, budgets, limits, loops, approvals, the provider's own
 * pace. The database is waited for where a person has to agree, where a loop is about to be refused, and for a
 * moment where so much was counted here that the other replicas have to hear of it first.
 */
export async function guard(
  app: Guarding,
  deed: Deed,
  /** What came back with the answer to our own question. */
  state: string | undefined,
): Promise<Passed> {
  app.switches.check(sceneOf(deed));
  checkTools(app, deed);
  const natureOf: NatureOf = (name) => app.definitions.find(deed.upstream, name).nature;
  const places = app.providerPace.placesOf(deed);
  const counted = await countIn(app, deed, natureOf);
  let used: Used | undefined;
  try {
    used = await approvalFor(app, deed, state);
    await app.providerPace.wait(deed, places);
    // It may have been switched off while this waited.
    app.switches.check(sceneOf(deed));
  } catch (error) {
    counted.giveBack();
    if (used !== undefined) returnApproval(app, used);
    throw error;
  }
  return {
    headers: counted.headers,
    decision: used === undefined ? undefined : `approved_${used.extent ?? "once"}`,
    ended({ asksFirst, text, ...outcome }) {
      if (app.config.guards.findsLoops) app.loops.note(deed, natureOf, outcome);
      if (asksFirst && used !== undefined) returnApproval(app, used);
      if (outcome.isError && app.providerPace.saysTooMuch(deed, text)) {
        app.providerPace.punished(places, undefined);
      }
    },
    punished: (retryAfterSeconds) => app.providerPace.punished(places, retryAfterSeconds),
    stay: () => begin(app, deed),
  };
}

function checkAtOnce(app: Guarding, { caller, httpMethod, streams }: Arrival): void {
  const { callsAtOnce, streamsAtOnce } = app.config.guards;
  const calls = app.underWay.get(caller.key) ?? 0;
  if (calls >= callsAtOnce) {
    const message = `${calls} calls of this agent are under way already. Wait for some to end before the next.`;
    throw new Failure("too_many_at_once", message, { retryAfterSeconds: 1 });
  }
  if (streams < streamsAtOnce || httpMethod === "DELETE") return;
  const message = `${streams} event streams of this agent are open already. Close some of them.`;
  throw new Failure("too_many_at_once", message, { retryAfterSeconds: 10 });
}

/** Counts a call as under way until the result is called, however often. */
function begin(app: Pick<Guarding, "underWay">, { caller }: Pick<Deed, "caller">): () => void {
  const { underWay } = app;
  underWay.set(caller.key, (underWay.get(caller.key) ?? 0) + 1);
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    const left = (underWay.get(caller.key) ?? 1) - 1;
    if (left > 0) underWay.set(caller.key, left);
    else underWay.delete(caller.key);
  };
}

type Counted = {
  readonly headers: Passed["headers"];
  /** Nothing came of it: what it spent is there again. */
  giveBack(): void;
};

/** Counts it towards every limit and budget, when all of them have room. */
async function countIn(app: Guarding, deed: Deed, natureOf: NatureOf): Promise<Counted> {
  const { tally, config } = app;
  const limits = limitsOf(config.guards.limits, deed, natureOf);
  const budgets = budgetsOf(config.guards.budgets, deed.caller, app.now());
  const requests = requestsIn(deed);
  const check = () => {
    checkBudgets(tally, budgets, deed);
    return checkLimits(tally, limits, requests);
  };
  let tightest = check();
  const asking = config.guards.findsLoops ? app.loops.check(deed, natureOf) : undefined;
  const behind = [...limits, ...budgets].some(({ key }) => tally.isBehind(key));
  if (asking !== undefined || behind) {
    await asking;
    await untilTold(app, [...limits, ...budgets]);
    // Others may have counted meanwhile.
    tightest = check();
  }
  const acts = actsIn(deed);
  countTowards(tally, limits, requests);
  spend(tally, budgets, acts);
  return {
    headers: tightest === undefined ? {} : limitHeaders(tightest, requests),
    giveBack: () => spend(tally, budgets, -acts),
  };
}

/** What was counted here is told first, where the other replicas have to hear of it. */
async function untilTold(
  { tally, now }: Guarding,
  counted: readonly { readonly key: string }[],
): Promise<void> {
  const until = now().getTime() + longestWaitMs;
  while (counted.some(({ key }) => tally.isBehind(key))) {
    await tally.told();
    if (now().getTime() >= until) return;
  }
}

async function approvalFor(
  app: Guarding,
  deed: Deed,
  state: string | undefined,
): Promise<Used | undefined> {
  const use = deed.tools.find((each) => needsApproval(app, deed, each));
  if (use === undefined) return undefined;
  if (deed.methods.length === 1) return await expectApproval(app, deed, use, state);
  throw new Failure(
    "approval_needed",
    `A person has to allow ${use.name}: send it alone, not in a batch.`,
  );
}

function returnApproval(app: Guarding, { id, extent }: Used): void {
  if (extent !== "once") return;
  timely(giveBack(app.db, id)).catch((error: unknown) =>
    app.log.warn("approval_not_given_back", { ...troubleOf(error), code: asFailure(error).code }),
  );
}
