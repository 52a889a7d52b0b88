/** What an agent did with one call the last time. */
type Seen = { readonly result: string; readonly isRepeated: boolean };

/** What one agent did lately; bounded. */
export type History = {
  /** When it last did something. */
  at: number;
  /** The last result of each call. */
  readonly seen: Map<string, Seen>;
  /** Call and result of the latest calls, the newest last. */
  readonly steps: string[];
  /** When it was last told. */
  toldAt: number;
  /** How long the cycle is that it goes through now; 0 when it does not. */
  cycle: number;
  /** When each call was last asked for, refused or not, and how long the latest pauses before it were. */
  readonly pauses: Map<string, Pauses>;
};

type Pauses = { at: number; readonly latest: number[] };

const [mostCallers, mostCallsOfOne, windowMs] = [5000, 64, 15 * 60_000];
const [shortestCycle, longestCycle] = [2, 6];

/** The histories of the agents that were here lately, by caller. */
export class Histories {
  readonly #histories = new Map<string, History>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Undefined when it has done nothing for a quarter of an hour. */
  find(caller: string): History | undefined {
    const known = this.#histories.get(caller);
    return known !== undefined && this.#now() - known.at < windowMs ? known : undefined;
  }

  /** The one there is, or a new one. */
  begun(caller: string): History {
    const at = this.#now();
    const history = this.find(caller) ?? {
      at,
      seen: new Map(),
      steps: [],
      toldAt: 0,
      cycle: 0,
      pauses: new Map(),
    };
    history.at = at;
    // Behind all others: the first one is the one that was idle longest.
    this.#histories.delete(caller);
    this.#histories.set(caller, history);
    const [oldest] = this.#histories.size > mostCallers ? this.#histories.keys() : [];
    if (oldest !== undefined) this.#histories.delete(oldest);
    return history;
  }
}

/** Notes a result. `same` as last time, or `changed` after it had been the same, or neither. */
export function noteResult(
  { seen }: History,
  call: string,
  result: string,
): "same" | "changed" | undefined {
  const before = seen.get(call);
  const isSame = before?.result === result;
  seen.delete(call);
  seen.set(call, { result, isRepeated: isSame });
  const [oldest] = seen.size > mostCallsOfOne ? seen.keys() : [];
  if (oldest !== undefined) seen.delete(oldest);
  if (isSame) return "same";
  return before?.isRepeated === true ? "changed" : undefined;
}

const [fewestPauses, mostPauses, unevenness, evenShare] = [4, 8, 0.2, 0.75];
const [shortestMs, mostMissed] = [1000, 8];

/** Notes that a call was asked for. */
export function notePause({ pauses, at }: History, call: string): void {
  const known = pauses.get(call);
  if (known === undefined) pauses.set(call, { at, latest: [] });
  else {
    known.latest.push(at - known.at);
    if (known.latest.length > mostPauses) known.latest.shift();
    known.at = at;
  }
  const [oldest] = pauses.size > mostCallsOfOne ? pauses.keys() : [];
  if (oldest !== undefined) pauses.delete(oldest);
}

/**
 * Whether a call is asked for at an even pace, within a fifth, and not faster than once a second: whoever waits for
 * something to change does so. One pause in four may be another, since networks and laptops hesitate. Another gateway
 * may have had some of the calls: a pause may be several times as long.
 */
export function isPolling({ pauses }: History, call: string): boolean {
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
export function noteStep(history: History, step: string): number {
  const { steps } = history;
  history.cycle = cycleIn(steps, step);
  steps.push(step);
  if (steps.length > 2 * longestCycle) steps.shift();
  return history.cycle;
}

/** A whole turn of different steps, which `step` begins again. */
function cycleIn(steps: readonly string[], step: string): number {
  for (let length = shortestCycle; length <= longestCycle; length += 1) {
    if (steps.at(-length) !== step) continue;
    if (new Set(steps.slice(-length)).size === length) return length;
  }
  return 0;
}
