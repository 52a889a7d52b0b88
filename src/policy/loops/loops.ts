import type { App } from "#src/app.ts";
import type { Pace } from "#src/config/guards.ts";
import { Failure } from "#src/failure.ts";
import type { Deed, ToolUse } from "../deed.ts";
import { inKey } from "../tally/rule.ts";
import type { Tally } from "../tally/tally.ts";
import { type Nature, type NatureOf, fits } from "../tools/patterns.ts";
import { Histories, isPolling, notePause, noteResult, noteStep } from "./history.ts";

/** How a call of a tool ended. */
export type ToolOutcome = {
  /** The same for the same result. */
  readonly result: string;
  readonly isError: boolean;
};

const second = 1000;

/**
 * How often the same call may bring the same result: so many times at once, then one in so many seconds. Whoever
 * waits for something asks again and again with pauses; whoever has lost the thread asks without.
 */
const repeats = {
  reading: { calls: 1, perMs: 10 * second, burst: 30 },
  unknown: { calls: 1, perMs: 10 * second, burst: 12 },
  writing: { calls: 1, perMs: 60 * second, burst: 3 },
} as const satisfies Record<string, Pace>;

/** One failure of a tool after another, whatever its arguments, with no success between them. */
const failuresInARow: Pace = { calls: 1, perMs: 10 * second, burst: 10 };

/** Steps of a cycle of several calls that was gone through before, result for result: a whole turn in ten seconds. */
const cycleOf = (length: number): Pace => ({ calls: length, perMs: 10 * second, burst: 24 });

/** How often an agent may be told: then it is refused, then stopped. */
const told: Pace = { calls: 1, perMs: 10 * second, burst: 12 };
const [softTimes, refusedTimes] = [4, 11];

/** Too much of something: what it is, and when one more of it is possible. */
type Loop = {
  readonly waitMs: number;
  readonly what: string;
  /** It is one call, asked for again and again. */
  readonly isOneCall?: true;
  /** Somebody waits for something to change, at an even pace: slowed down, and never stopped. */
  readonly isPolling?: boolean;
};

/**
 * Notices agents that go round in circles. What it counts is shared by the replicas and gone after a while; what
 * an agent did lately is known to each replica of the calls that it has answered.
 */
export class Loops {
  readonly #tally: Tally;
  readonly #stop: (caller: string, reason: string) => void;
  readonly #histories: Histories;

  constructor(
    app: Pick<App, "now"> & { readonly tally: Tally },
    stop: (caller: string, reason: string) => void,
  ) {
    this.#tally = app.tally;
    this.#stop = stop;
    this.#histories = new Histories(() => app.now().getTime());
  }

  /**
   * Failures: `loop_noticed`, then `loop_refused`, then `agent_stopped`. Asks the other replicas before it refuses:
   * what failed here may have gone well there. Undefined where there is nothing to ask them.
   */
  check(deed: Deed, natureOf: NatureOf): Promise<void> | undefined {
    const use = onlyUse(deed);
    if (use === undefined) return undefined;
    notePause(this.#histories.begun(deed.caller.key), use.hash);
    if (this.#find(deed, use, natureOf) === undefined) return undefined;
    return this.#checkWithOthers(deed, use, natureOf);
  }

  async #checkWithOthers(deed: Deed, use: ToolUse, natureOf: NatureOf): Promise<void> {
    await this.#tally.reread([failureKey(deed, use), repeatKey(deed, use), cycleKey(deed)]);
    const loop = this.#find(deed, use, natureOf);
    if (loop !== undefined) this.#refuse(deed, loop);
  }

  /** An agent that was let go on begins anew. */
  forgive(caller: string): void {
    const kinds = ["told", "cycle", "repeat", "failures"];
    this.#tally.resetWhere(kinds.flatMap((kind) => [`${kind}:${caller}`]));
  }

  #find(deed: Deed, use: ToolUse, natureOf: NatureOf): Loop | undefined {
    const nature = natureOf(use.name);
    const loop = this.#failing(deed, use) ?? this.#circling(deed, use, nature);
    const history = this.#histories.find(deed.caller.key);
    const mayPoll = loop?.isOneCall === true && nature === "reading";
    // Several calls in turn are a cycle, however evenly they come.
    if (!mayPoll || history === undefined || history.cycle > 0) return loop;
    return { ...loop, isPolling: isPolling(history, use.hash) };
  }

  note(deed: Deed, natureOf: NatureOf, { result, isError }: ToolOutcome): void {
    const use = onlyUse(deed);
    if (use === undefined) return;
    const history = this.#histories.begun(deed.caller.key);
    const pace = repeatPaceOf(deed, use, natureOf(use.name));
    const repeated = noteResult(history, use.hash, result);
    if (repeated === "same" && pace !== undefined) this.#tally.add(repeatKey(deed, use), pace);
    if (repeated === "changed") this.#tally.reset(repeatKey(deed, use));
    if (isError) this.#tally.add(failureKey(deed, use), failuresInARow);
    else this.#tally.reset(failureKey(deed, use));
    // Not forgiven when it ends: a call that was refused is missing in the next turn.
    const cycle = noteStep(history, `${use.hash} ${result}`);
    if (cycle > 0) this.#tally.add(cycleKey(deed), cycleOf(cycle));
  }

  #failing(deed: Deed, use: ToolUse): Loop | undefined {
    const { waitMs } = this.#tally.standing(failureKey(deed, use), failuresInARow);
    if (waitMs <= 0) return undefined;
    return {
      waitMs,
      what: `called ${use.name} again and again although it fails`,
      isOneCall: true,
    };
  }

  #circling(deed: Deed, use: ToolUse, nature: Nature | undefined): Loop | undefined {
    const history = this.#histories.find(deed.caller.key);
    const pace = repeatPaceOf(deed, use, nature);
    if (history === undefined || pace === undefined) return undefined;
    const same = this.#tally.standing(repeatKey(deed, use), pace);
    if (history.seen.has(use.hash) && same.waitMs > 0) {
      const what = `called ${use.name} with the same arguments again and again, and the result was the same each time`;
      return { waitMs: same.waitMs, what, isOneCall: true };
    }
    const { cycle, steps } = history;
    if (cycle === 0 || steps.at(-cycle)?.startsWith(use.hash) !== true) return undefined;
    const { waitMs } = this.#tally.standing(cycleKey(deed), cycleOf(cycle));
    if (waitMs <= 0) return undefined;
    return {
      waitMs,
      what: `gone through the same ${cycle} calls in turn, with the same results each time`,
    };
  }

  #refuse({ caller }: Deed, { waitMs, what, isPolling: polls }: Loop): never {
    const key = `told:${caller.key}`;
    const history = this.#histories.begun(caller.key);
    const timesTold = () => told.burst - this.#tally.standing(key, told).remaining;
    // Calls that are made at the same time are one mistake: nobody has read an answer between them.
    if (history.at - history.toldAt >= second && !(polls === true && timesTold() > softTimes)) {
      history.toldAt = history.at;
      this.#tally.add(key, told);
    }
    const times = timesTold();
    const retryAfterSeconds = Math.ceil(waitMs / second);
    const advice = `Nothing new comes of it. Stop and tell the person what you have and what is missing, or do something else. The same call is possible again in ${retryAfterSeconds} s.`;
    if (times <= softTimes) {
      throw new Failure("loop_noticed", `You have ${what}. ${advice}`, { retryAfterSeconds });
    }
    if (polls === true) {
      const slower = `You have ${what}. While nothing changes the call is possible once in a while: again in ${retryAfterSeconds} s. Ask less often.`;
      throw new Failure("loop_refused", slower, { retryAfterSeconds });
    }
    if (times > refusedTimes) {
      this.#stop(caller.key, `it has ${what}`);
      throw new Failure("agent_stopped", `This agent was stopped: it has ${what}.`);
    }
    const message = `Refused: you have ${what}, and were told about such things before. ${advice} Go on like this and this agent is stopped.`;
    throw new Failure("loop_refused", message, { retryAfterSeconds });
  }
}

/** Of a batch nobody knows which result is whose. */
function onlyUse({ tools, methods }: Deed): ToolUse | undefined {
  return tools.length === 1 && methods.length === 1 ? tools[0] : undefined;
}

/** Undefined where the operator wants no watch over it. */
function repeatPaceOf(
  { upstream }: Deed,
  { name }: ToolUse,
  nature: Nature | undefined,
): Pace | undefined {
  const own = upstream.tools.repeats.find(([pattern]) => fits(pattern, name, nature));
  if (own !== undefined) return own[1] === "off" ? undefined : own[1];
  if (nature === undefined || nature === "unknown") return repeats.unknown;
  return nature === "reading" ? repeats.reading : repeats.writing;
}

const repeatKey = ({ caller }: Deed, { hash }: ToolUse) => `repeat:${caller.key}:${hash}`;
const failureKey = ({ caller, upstream }: Deed, { name }: ToolUse) =>
  `failures:${caller.key}:${upstream.name}/${inKey(name.slice(0, 128))}`;
const cycleKey = ({ caller }: Deed) => `cycle:${caller.key}`;
