import type { Column } from "./columns.ts";
import { median } from "./latencies.ts";

/** Everything that is measured, in the order of the table; `ratio` marks what is compared with the base. */
export const measures = [
  { name: "calls1", title: "calls/s, 1 connection", digits: 0, ratio: true },
  { name: "calls32", title: "calls/s, 32 connections", digits: 0, ratio: true },
  { name: "calls128", title: "calls/s, 128 connections", digits: 0, ratio: true },
  { name: "processor1", title: "CPU µs per call, 1 connection", digits: 1, ratio: true },
  { name: "processor32", title: "CPU µs per call, 32 connections", digits: 1, ratio: true },
  { name: "processor128", title: "CPU µs per call, 128 connections", digits: 1, ratio: true },
  { name: "p50At1", title: "call p50 ms, 1 connection", digits: 3, ratio: false },
  { name: "addedP50At1", title: "  added to direct", digits: 3, ratio: true },
  { name: "p99At1", title: "call p99 ms, 1 connection", digits: 3, ratio: false },
  { name: "addedP99At1", title: "  added to direct", digits: 3, ratio: true },
  { name: "p50At32", title: "call p50 ms, 32 connections", digits: 3, ratio: false },
  { name: "addedP50At32", title: "  added to direct", digits: 3, ratio: true },
  { name: "p99At32", title: "call p99 ms, 32 connections", digits: 3, ratio: false },
  { name: "addedP99At32", title: "  added to direct", digits: 3, ratio: true },
  {
    name: "processorPaced",
    title: "CPU µs per call, 2,000 calls/s",
    digits: 1,
    ratio: true,
  },
  {
    name: "processorTold",
    title: "CPU µs per call answered as an event, 32 connections",
    digits: 1,
    ratio: true,
  },
  { name: "p50Paced", title: "call p50 ms, 2,000 calls/s", digits: 3, ratio: false },
  { name: "p99Paced", title: "call p99 ms, 2,000 calls/s", digits: 3, ratio: false },
  { name: "firstEventP50", title: "first SSE event p50 ms", digits: 3, ratio: true },
  { name: "firstEventP99", title: "first SSE event p99 ms", digits: 3, ratio: true },
  { name: "streamKilobytes", title: "KB per idle stream", digits: 1, ratio: true },
  { name: "heldP50", title: "call p50 ms beside idle streams", digits: 3, ratio: true },
  { name: "heldP99", title: "call p99 ms beside idle streams", digits: 3, ratio: true },
  { name: "leftOpen", title: "streams left open after 2 s", digits: 0, ratio: false },
  { name: "residentMegabytes", title: "MB resident after 60 s", digits: 0, ratio: false },
  { name: "tokens32", title: "tokens/s, 32 connections", digits: 0, ratio: false },
  { name: "tokenProcessor", title: "CPU µs per token", digits: 1, ratio: false },
  { name: "tokenP50", title: "token p50 ms", digits: 3, ratio: false },
  { name: "tokenP99", title: "token p99 ms", digits: 3, ratio: false },
  { name: "gatewayTimes", title: "gateway's tokens/s, × this", digits: 2, ratio: false },
  { name: "verified32", title: "calls/s, 32 connections", digits: 0, ratio: false },
  { name: "verifiedProcessor", title: "CPU µs per call", digits: 1, ratio: false },
  { name: "verifiedP50", title: "call p50 ms", digits: 3, ratio: false },
  { name: "verifiedP99", title: "call p99 ms", digits: 3, ratio: false },
  { name: "timesSession", title: "calls/s, × the session's", digits: 3, ratio: false },
  { name: "timesProxied", title: "CPU per call, × proxied", digits: 3, ratio: false },
  { name: "timesLive", title: "calls/s, × with live tokens", digits: 3, ratio: false },
  {
    name: "processorTimesLive",
    title: "CPU per call, × with live tokens",
    digits: 3,
    ratio: false,
  },
  { name: "deadPercent", title: "calls that met a dead token, %", digits: 2, ratio: false },
  { name: "awayMillis", title: "PostgreSQL away, ms", digits: 0, ratio: false },
  { name: "pacedCalls", title: "calls, at an even pace", digits: 0, ratio: false },
  { name: "pacedP50", title: "call p50 ms", digits: 2, ratio: false },
  { name: "pacedP99", title: "call p99 ms", digits: 2, ratio: false },
  { name: "pacedLongest", title: "longest call ms", digits: 2, ratio: false },
  { name: "pacedFailures", title: "calls that failed", digits: 0, ratio: false },
] as const;
export type Measure = (typeof measures)[number]["name"];

/** What was read in each round, and what should be said about it below the table. */
export class Readings {
  readonly notes: string[] = [];
  readonly #values = new Map<string, number[]>();

  add(target: Column, measure: Measure, value: number | undefined): void {
    if (value === undefined || Number.isNaN(value)) return;
    const key = `${target} ${measure}`;
    this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
  }

  median(target: Column, measure: Measure): number | undefined {
    const values = this.#values.get(`${target} ${measure}`);
    return values === undefined ? undefined : median(values);
  }

  /** Everything that was read elsewhere. */
  take(other: Readings): void {
    for (const [key, values] of other.#values) {
      this.#values.set(key, [...(this.#values.get(key) ?? []), ...values]);
    }
    this.notes.push(...other.notes);
  }

  /** One target's median divided by another's. */
  ratio(target: Column, base: Column, measure: Measure): number | undefined {
    const value = this.median(target, measure);
    const baseValue = this.median(base, measure);
    if (value === undefined || baseValue === undefined || baseValue <= 0) return undefined;
    return value / baseValue;
  }
}
