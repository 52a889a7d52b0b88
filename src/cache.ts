import { type SingleFlight, createSingleFlight } from "./single-flight.ts";
import { endsWithin, within, millisecondsOf } from "./clock.ts";

/** How long what this process knows serves while the database is away. */
export const withoutDatabaseMs = 60_000;

/** A database that takes longer than this to answer is not waited for by whoever can be served without. */
export const databasePatienceMs = 250;

/** A bounded memory of what another place knows better. */
export type Cache<T> = {
  /** What is known and fresh, at once. */
  fresh(key: string): T | undefined;
  /** What is still kept, however old it is. */
  last(key: string): T | undefined;
  /**
   * What is known and fresh, or what `load` says. When `load` fails, or takes longer than `patienceMs`, what was
   * known not too long ago still serves. `undefined` from `load` is an answer too and is not kept.
   */
  get(key: string, load: () => Promise<T | undefined>): Promise<T | undefined>;
  put(key: string, value: T): void;
  forget(key: string): void;
  forgetWhere(isMeant: (value: T) => boolean): void;
  readonly isEmpty: boolean;
};

type CacheOptions = {
  readonly freshMs: number;
  /** How long a value may still serve while `load` fails. */
  readonly staleMs: number;
  /** How long `load` is waited for when there is something older to serve; without it, as long as it takes. */
  readonly patienceMs?: number;
  readonly size: number;
  readonly now: () => number;
};

type Entry<T> = {
  readonly value: T;
  readonly at: number;
  /** Until then a failed load is not tried again. */
  quietUntil: number;
};

export function createCache<T>(options: CacheOptions): Cache<T> {
  return new BoundedCache<T>(options);
}

class BoundedCache<T> implements Cache<T> {
  readonly #options: CacheOptions;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #singleFlight: SingleFlight = createSingleFlight();
  #forgotten = 0;

  constructor(options: CacheOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  fresh(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const now = this.#options.now();
    const isFresh = now - entry.at < this.#options.freshMs || now < entry.quietUntil;
    return isFresh ? entry.value : undefined;
  }

  last(key: string): T | undefined {
    return this.#entries.get(key)?.value;
  }

  get(key: string, ask: () => Promise<T | undefined>): Promise<T | undefined> {
    const known = this.fresh(key);
    if (known !== undefined) return Promise.resolve(known);
    const loading = this.#singleFlight(key, () => this.#load(key, ask));
    const { patienceMs } = this.#options;
    if (patienceMs === undefined || !this.#entries.has(key)) return loading;
    return this.#olderAfter(patienceMs, key, loading);
  }

  put(key: string, value: T): void {
    const { now, size } = this.#options;
    this.#entries.delete(key);
    this.#entries.set(key, { value, at: now(), quietUntil: 0 });
    const [oldest] = this.#entries.size > size ? this.#entries.keys() : [];
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  forget(key: string): void {
    this.#forgotten += Number(this.#entries.delete(key)) + 1;
  }

  forgetWhere(isMeant: (value: T) => boolean): void {
    this.#forgotten += 1;
    for (const [key, entry] of this.#entries) if (isMeant(entry.value)) this.#entries.delete(key);
  }

  async #load(key: string, ask: () => Promise<T | undefined>): Promise<T | undefined> {
    const before = this.#forgotten;
    try {
      const value = await ask();
      // What was forgotten while it was read must not come back.
      if (value === undefined || before !== this.#forgotten) this.#entries.delete(key);
      else this.put(key, value);
      return value;
    } catch (error) {
      return this.#stale(key) ?? thrown(error);
    }
  }

  /** What is known is served from then on without asking; `loading` goes on. */
  async #olderAfter(
    milliseconds: number,
    key: string,
    loading: Promise<T | undefined>,
  ): Promise<T | undefined> {
    const isLoaded = await endsWithin(loading, milliseconds);
    return (isLoaded ? undefined : this.#stale(key)) ?? (await loading);
  }

  #stale(key: string): T | undefined {
    const entry = this.#entries.get(key);
    const { freshMs, staleMs } = this.#options;
    const now = this.#options.now();
    if (entry === undefined || now - entry.at >= staleMs) return undefined;
    entry.quietUntil = Math.min(now + freshMs, entry.at + staleMs);
    return entry.value;
  }
}

function thrown(error: unknown): never {
  throw error;
}

const [latelyMs, waitMs] = [5000, 1000];

/**
 * What a slow source says of the last minutes, five seconds old at most: it is asked no more often, and waited for one
 * second. Undefined while it does not say.
 */
export function createLately<T>(
  app: { readonly now: () => Date },
  load: () => Promise<T>,
): () => Promise<T | undefined> {
  const now = millisecondsOf(app);
  const known = createCache<T>({ freshMs: latelyMs, staleMs: 0, size: 1, now });
  const late = () => new Error("it took too long");
  return () => known.get("all", () => within(waitMs, load(), late)).catch(() => undefined);
}
