import type { Rate } from "#src/config/guards.ts";
import { Failure } from "#src/failure.ts";
import type { Digest } from "#src/runtime/runtime.ts";
import { type CallContext, type ToolInvocation, onlyTool } from "../call.ts";
import type { RateCounters } from "../rates/rate-counters.ts";
import { type History, Histories, isPolling, notePause, noteResult, noteStep } from "./history.ts";

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
