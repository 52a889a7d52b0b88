import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { type RateCounters, createRateCounters } from "#src/policy/rates/rate-counters.ts";
import type { Level, Told } from "#src/policy/rates/store.ts";

/** What several processes count together, in one table that is kept here, by one clock that stands still unless it is set. */
export type Counters = {
  now: number;
  /** The database is away: what is told is lost. */
  isAway: boolean;
  /** Called while a statement is under way. */
  meanwhile: (() => void) | undefined;
  readonly processes: readonly RateCounters[];
  /** Tells until everybody has told everything, then until everybody has heard it. */
  settle(keys: readonly string[]): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export function openCounters(processes: number): Counters {
  const table = new Map<string, number>();
  const counters = {
    now: 1_790_000_000_000,
    isAway: false,
    meanwhile: undefined,
  };
  const app = {
    now: () => new Date(counters.now),
    log: { lasting: () => undefined, over: () => undefined },
    db: {
      async execute(statement: { readonly queryChunks: readonly unknown[] }) {
        const text = statement.queryChunks.find((chunk) => typeof chunk === "string");
        const values: readonly (Told | string)[] = JSON.parse(String(text));
        return await answer(opened, () => values.map((value) => apply(table, value, counters.now)));
      },
    },
  };
  const tallies = Array.from({ length: processes }, () =>
    createRateCounters(app as unknown as App),
  );
  const opened: Counters = Object.assign(counters, {
    processes: tallies,
    async settle(keys: readonly string[]) {
      for (const rateCounters of [...tallies, ...tallies]) await rateCounters.reread(keys);
    },
    async [Symbol.asyncDispose]() {
      opened.meanwhile = undefined;
      for (const rateCounters of tallies) await rateCounters.stop();
    },
  });
  return opened;
}

async function answer<T>(counters: Counters, work: () => T): Promise<T> {
  await Promise.resolve();
  counters.meanwhile?.();
  if (counters.isAway) throw new Failure("database_unavailable");
  return work();
}

/** The statements of `store.ts`, in words of this language. */
function apply(table: Map<string, number>, value: Told | string, now: number): Level | undefined {
  if (typeof value === "string") return void table.delete(value);
  const { key, calls, stepMs } = value;
  const before = table.get(key);
  const level =
    stepMs === null ? (before ?? 0) + calls : Math.max(before ?? 0, now) + calls * stepMs;
  table.set(key, level);
  return { key, level: stepMs === null ? level : level - now };
}
