import type { Digest } from "#src/runtime/runtime.ts";

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
export function notePause({ pauses }: History, call: Digest, now: number): void {
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
export function isPolling({ pauses }: History, call: Digest): boolean {
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
