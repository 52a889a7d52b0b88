import { Latencies } from "../bench/latencies.ts";

/** What the clients have seen so far. */
export class ClientCounts {
  readonly errors = new Map<string, number>();
  readonly #latencies = new Latencies();
  calls = 0;
  longestMillis = 0;
  streamsDropped = 0;
  clientsLeft = 0;

  answered(millis: number): void {
    this.calls += 1;
    this.longestMillis = Math.max(this.longestMillis, millis);
    this.#latencies.add(millis * 1000);
  }

  failed(kind: string): void {
    this.errors.set(kind, (this.errors.get(kind) ?? 0) + 1);
  }

  get errorCount(): number {
    return [...this.errors.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Calls slower than a second count as a second here. */
  quantileMillis(share: number): number {
    return this.#latencies.quantile(share) / 1000;
  }
}
