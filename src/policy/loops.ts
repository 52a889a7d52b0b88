import type { Rate } from "#src/config/guards.ts";
import { Failure } from "#src/failure.ts";
import type { Digest } from "#src/runtime/runtime.ts";
import { type CallContext, type ToolInvocation, onlyTool } from "./plan.ts";
import type { RateCounters } from "./rates/rate-counters.ts";

/*
 * Agents that go round in circles: they are told, then refused, then stopped. Below, what is remembered of what each did
 * lately.
 */

/** How a call of a tool ended. */
export type ToolOutcome = {
  /** The same for the same result. */
  readonly result: Digest;
  readonly isError: boolean;
};

const second = 1000;

/** One failure of a tool after another, whatever its arguments, with no success between them. */
const failuresInARow: Rate = { calls: 1, perMs: 10 * second, burst: 10 };

/** Steps of a cycle of several calls that was gone through before, result for result: a whole turn in ten seconds. */
const cycleOf = (length: number): Rate => ({ calls: length, perMs: 10 * second, burst: 24 });

/** How often an agent may be told: then it is refused, then stopped. */
const told: Rate = { calls: 1, perMs: 10 * second, burst: 12 };
const [softTimes, refusedTimes] = [4, 11];

/** Too much of something: what it is, and when one more of it is possible. */
type Loop = {
  readonly waitMs: number;
  readonly what: string;
  /** It is one call, asked for again and again. */
  readonly isOneCall?: true;
  /** What is possible again; `The same call is` where it does not say. */
  readonly again?: string;
  /** Somebody waits for something to change, at an even pace: slowed down, and never stopped. */
  readonly isPolling?: boolean;
};

/**
 * Notices agents that go round in circles. What it counts is shared by the replicas and gone after a while; what
 * an agent did lately is known to each replica of the calls that it has answered.
 */
export class Loops {
  readonly #rateCounters: RateCounters;
  readonly #stop: (caller: string, reason: string) => void;
  readonly #histories = new Histories();

  constructor(
    app: { readonly rateCounters: RateCounters },
    stop: (caller: string, reason: string) => void,
  ) {
    this.#rateCounters = app.rateCounters;
    this.#stop = stop;
  }

  /**
   * Failures: `loop_noticed`, then `loop_refused`, then `agent_stopped`. Asks the other replicas before it refuses:
   * what failed here may have gone well there. Undefined where there is nothing to ask them.
   */
  check(call: CallContext): Promise<void> | undefined {
    const tool = onlyTool(call);
    if (tool === undefined) return undefined;
    const history = this.#histories.begun(call.caller.key, call.at);
    notePause(history, tool.digest, call.at);
    if (this.#find(history, tool) === undefined) return undefined;
    return this.#checkWithOthers(call, tool);
  }

  async #checkWithOthers(call: CallContext, tool: ToolInvocation): Promise<void> {
    const { caller, at } = call;
    const keys = [tool.plan.failureKey, repeatKey(caller.key, tool), cycleKey(caller.key)];
    await this.#rateCounters.reread(keys);
    const history = this.#histories.begun(caller.key, at);
    const loop = this.#find(history, tool);
    if (loop !== undefined) this.#refuse(history, loop, at);
  }

  /** An agent that was let go on begins anew. */
  forgive(caller: string): void {
    const kinds = ["told", "cycle", "repeat", "failures"];
    this.#rateCounters.resetWhere(kinds.flatMap((kind) => [`${kind}:${caller}`]));
  }

  #find(history: History, tool: ToolInvocation): Loop | undefined {
    const loop = this.#failing(tool) ?? this.#circling(history, tool);
    const mayPoll = loop?.isOneCall === true && tool.plan.nature === "reading";
    // Several calls in turn are a cycle, however evenly they come.
    if (!mayPoll || history.cycle > 0) return loop;
    return { ...loop, isPolling: isPolling(history, tool.digest) };
  }

  /** @param now When its answer came, in milliseconds. */
  note(call: CallContext, { result, isError }: ToolOutcome, now: number): void {
    const tool = onlyTool(call);
    if (tool === undefined) return;
    const history = this.#histories.begun(call.caller.key, now);
    const { repeats, failureKey } = tool.plan;
    const repeated = noteResult(history, tool.digest, result);
    if (repeated !== undefined) this.#noteRepeat(history, tool, repeated, repeats);
    if (isError) this.#rateCounters.add(failureKey, failuresInARow);
    else this.#rateCounters.reset(failureKey);
    // Not forgiven when it ends: a call that was refused is missing in the next turn.
    const cycle = noteStep(history, tool.digest, result);
    if (cycle > 0) this.#rateCounters.add(cycleKey(history.caller), cycleOf(cycle));
  }

  #noteRepeat(
    history: History,
    tool: ToolInvocation,
    repeated: "same" | "changed",
    rate: Rate | undefined,
  ): void {
    const seen = history.seen.get(tool.digest);
    const key = seen?.key ?? repeatKey(history.caller, tool);
    if (seen !== undefined) seen.key = key;
    if (repeated === "changed") this.#rateCounters.reset(key);
    else if (rate !== undefined) this.#rateCounters.add(key, rate);
  }

  #failing({ plan, name }: ToolInvocation): Loop | undefined {
    const { waitMs } = this.#rateCounters.status(plan.failureKey, failuresInARow);
    if (waitMs <= 0) return undefined;
    return {
      waitMs,
      what: `called ${name} again and again, and each call failed, whatever its arguments`,
      again: `${name} is`,
      isOneCall: true,
    };
  }

  #circling({ seen, cycle, steps, caller }: History, tool: ToolInvocation): Loop | undefined {
    const { repeats } = tool.plan;
    if (repeats === undefined) return undefined;
    // What was never repeated here has no key, and was counted by nobody here.
    const key = seen.get(tool.digest)?.key;
    const same = key === undefined ? undefined : this.#rateCounters.status(key, repeats);
    if (same !== undefined && same.waitMs > 0) {
      const what = `called ${tool.name} with the same arguments again and again, and the result was the same each time`;
      return { waitMs: same.waitMs, what, isOneCall: true };
    }
    if (cycle === 0 || steps.at(-cycle)?.call !== tool.digest) return undefined;
    const { waitMs } = this.#rateCounters.status(cycleKey(caller), cycleOf(cycle));
    if (waitMs <= 0) return undefined;
    return {
      waitMs,
      what: `gone through the same ${cycle} calls in turn, with the same results each time`,
    };
  }

  #refuse(history: History, loop: Loop, now: number): never {
    const { waitMs, what, again = "The same call is", isPolling: polls } = loop;
    const { caller } = history;
    const key = `told:${caller}`;
    const timesTold = () => told.burst - this.#rateCounters.status(key, told).remaining;
    // Calls that are made at the same time are one mistake: nobody has read an answer between them.
    if (now - history.toldAt >= second && !(polls === true && timesTold() > softTimes)) {
      history.toldAt = now;
      this.#rateCounters.add(key, told);
    }
    const times = timesTold();
    const retryAfterSeconds = Math.ceil(waitMs / second);
    const advice = `Nothing new comes of it. Stop and tell the person what you have and what is missing, or do something else. ${again} possible again in ${retryAfterSeconds} s.`;
    if (times <= softTimes) {
      throw new Failure("loop_noticed", `You have ${what}. ${advice}`, { retryAfterSeconds });
    }
    if (polls === true) {
      const slower = `You have ${what}. While nothing changes the call is possible once in a while: again in ${retryAfterSeconds} s. Ask less often.`;
      throw new Failure("loop_refused", slower, { retryAfterSeconds });
    }
    if (times > refusedTimes) {
      this.#stop(caller, `it has ${what}`);
      throw new Failure("agent_stopped", `This agent was stopped: it has ${what}.`);
    }
    const message = `Refused: you have ${what}, and were told about such things before. ${advice} Go on like this and this agent is stopped.`;
    throw new Failure("loop_refused", message, { retryAfterSeconds });
  }
}

const repeatKey = (caller: string, { hash }: ToolInvocation) => `repeat:${caller}:${hash}`;
const cycleKey = (caller: string) => `cycle:${caller}`;

/** What an agent did with one call the last time. */
type Seen = {
  result: Digest;
  isRepeated: boolean;
  /** Under which its repeats are counted with the other replicas, once there are some. */
  key: string | undefined;
};

/** What one agent did lately; bounded. Of calls and results only digests are kept. */
export type History = {
  readonly caller: string;
  /** When it last did something. */
  at: number;
  /** The last result of each call. */
  readonly seen: Map<Digest, Seen>;
  /** Call and result of the latest calls, the newest last. */
  readonly steps: Step[];
  /** When it was last told. */
  toldAt: number;
  /** How long the cycle is that it goes through now; 0 when it does not. */
  cycle: number;
  /** When each call was last asked for, refused or not, and how long the latest pauses before it were. */
  readonly pauses: Map<Digest, Pauses>;
};

type Step = { readonly call: Digest; readonly result: Digest };
type Pauses = { at: number; readonly latest: number[] };

const [mostCallers, mostCallsOfOne, windowMs, agedMs] = [5000, 64, 15 * 60_000, 1000];
const [shortestCycle, longestCycle] = [2, 6];

/** The histories of the agents that were here lately, by caller. */
export class Histories {
  readonly #histories = new Map<string, History>();

  /** Undefined when it has done nothing for a quarter of an hour. `now` is in milliseconds. */
  find(caller: string, now: number): History | undefined {
    const known = this.#histories.get(caller);
    return known !== undefined && now - known.at < windowMs ? known : undefined;
  }

  /** The one there is, or a new one. */
  begun(caller: string, now: number): History {
    const known = this.find(caller, now);
    // Its place among the others need not be more exact than a second.
    if (known !== undefined && now - known.at < agedMs) return known;
    const history = known ?? newHistory(caller, now);
    history.at = now;
    // Behind all others: the first one is the one that was idle longest.
    this.#histories.delete(caller);
    this.#histories.set(caller, history);
    const [oldest] = this.#histories.size > mostCallers ? this.#histories.keys() : [];
    if (oldest !== undefined) this.#histories.delete(oldest);
    return history;
  }
}

function newHistory(caller: string, at: number): History {
  const [seen, steps, pauses] = [new Map(), [], new Map()];
  return { caller, at, seen, steps, toldAt: 0, cycle: 0, pauses };
}

/** Notes a result. `same` as last time, or `changed` after it had been the same, or neither. */
export function noteResult(
  { seen }: History,
  call: Digest,
  result: Digest,
): "same" | "changed" | undefined {
  const before = seen.get(call);
  if (before === undefined) {
    seen.set(call, { result, isRepeated: false, key: undefined });
    const [oldest] = seen.size > mostCallsOfOne ? seen.keys() : [];
    if (oldest !== undefined) seen.delete(oldest);
    return undefined;
  }
  const { isRepeated: wasRepeated } = before;
  before.isRepeated = before.result === result;
  before.result = result;
  // Behind all others, when it is not the newest: the first one is the one that came longest ago.
  if (seen.size > 1) {
    seen.delete(call);
    seen.set(call, before);
  }
  if (before.isRepeated) return "same";
  return wasRepeated ? "changed" : undefined;
}

const [fewestPauses, mostPauses, unevenness, evenShare] = [4, 8, 0.2, 0.75];
const [shortestMs, mostMissed] = [1000, 8];

/** Notes that a call was asked for. */
function notePause({ pauses }: History, call: Digest, now: number): void {
  const known = pauses.get(call);
  if (known !== undefined) {
    known.latest.push(now - known.at);
    if (known.latest.length > mostPauses) known.latest.shift();
    known.at = now;
    return;
  }
  pauses.set(call, { at: now, latest: [] });
  const [oldest] = pauses.size > mostCallsOfOne ? pauses.keys() : [];
  if (oldest !== undefined) pauses.delete(oldest);
}

/**
 * Whether a call is asked for at an even pace, within a fifth, and not faster than once a second: whoever waits for
 * something to change does so. One pause in four may be another, since networks and laptops hesitate. Another gateway
 * may have had some of the calls: a pause may be several times as long.
 */
function isPolling({ pauses }: History, call: Digest): boolean {
  const { latest = [] } = pauses.get(call) ?? {};
  if (latest.length < fewestPauses) return false;
  const median = latest.toSorted((one, other) => one - other)[latest.length >> 1] ?? 0;
  return [median, median / 2, median / 3].some((base) => isEven(latest, base));
}

function isEven(pauses: readonly number[], base: number): boolean {
  if (base < shortestMs * (1 - unevenness)) return false;
  const even = pauses.filter((pause) => {
    const turns = Math.round(pause / base);
    return turns > 0 && turns <= mostMissed && Math.abs(pause / base - turns) <= unevenness;
  });
  return even.length >= pauses.length * evenShare;
}

/** Notes a step. The length of the cycle that it goes on with; 0 when it goes on with none. */
export function noteStep(history: History, call: Digest, result: Digest): number {
  const { steps } = history;
  history.cycle = cycleIn(steps, call, result);
  steps.push({ call, result });
  if (steps.length > 2 * longestCycle) steps.shift();
  return history.cycle;
}

/** A whole turn of different steps, which this step begins again. */
function cycleIn(steps: readonly Step[], call: Digest, result: Digest): number {
  // One step again and again is none.
  if (isStep(steps.at(-1), call, result)) return 0;
  for (let length = shortestCycle; length <= longestCycle; length += 1) {
    if (!isStep(steps.at(-length), call, result)) continue;
    if (areDifferent(steps.slice(-length))) return length;
  }
  return 0;
}

function isStep(step: Step | undefined, call: Digest, result: Digest): boolean {
  return step !== undefined && step.call === call && step.result === result;
}

function areDifferent(steps: readonly Step[]): boolean {
  return steps.every(
    ({ call, result }, index) => steps.findIndex((each) => isStep(each, call, result)) === index,
  );
}
