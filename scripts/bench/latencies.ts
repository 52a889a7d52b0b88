const buckets = 1_000_000;

/** Latencies in buckets of one microsecond; everything slower than a second lies in the last one. */
export class Latencies {
  readonly #counts = new Uint32Array(buckets);
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(micros: number): void {
    const bucket = Math.min(buckets - 1, Math.max(0, Math.round(micros)));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total += 1;
  }

  /** The latency, in microseconds, that the given share of all calls stayed within. */
  quantile(share: number): number {
    let left = Math.ceil(this.#total * share);
    const found = this.#counts.findIndex((count) => (left -= count) <= 0);
    return this.#total === 0 ? Number.NaN : found;
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
