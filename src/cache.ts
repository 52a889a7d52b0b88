import { type Once, createOnce } from "./once.ts";

/** How long what this process knows serves while the database is away. */
export const withoutDatabaseMs = 60_000;

/** A bounded memory of what another place knows better. */
export type Cache<T> = {
  /** What is known and fresh, at once. */
  fresh(key: string): T | undefined;
  /** What is still kept, however old it is. */
  last(key: string): T | undefined;
  /**
   * What is known and fresh, or what `load` says. When `load` fails, what was known not too long ago
   * still serves. `undefined` from `load` is an answer too and is not kept.
   */
  get(key: string, load: () => Promise<T | undefined>): Promise<T | undefined>;
  put(key: string, value: T): void;
  forget(key: string): void;
  forgetWhere(isMeant: (value: T) => boolean): void;
};

type CacheOptions = {
  readonly freshMs: number;
  /** How long a value may still serve while `load` fails. */
  readonly staleMs: number;
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
  const entries = new Map<string, Entry<T>>();
  const once: Once = createOnce();
  let forgotten = 0;

  function put(key: string, value: T): void {
    entries.delete(key);
    entries.set(key, { value, at: options.now(), quietUntil: 0 });
    const [oldest] = entries.size > options.size ? entries.keys() : [];
    if (oldest !== undefined) entries.delete(oldest);
  }

  function fresh(key: string): T | undefined {
    const entry = entries.get(key);
    if (entry === undefined) return undefined;
    const now = options.now();
    return now - entry.at < options.freshMs || now < entry.quietUntil ? entry.value : undefined;
  }

  function stale(key: string): T | undefined {
    const entry = entries.get(key);
    const now = options.now();
    if (entry === undefined || now - entry.at >= options.staleMs) return undefined;
    entry.quietUntil = Math.min(now + options.freshMs, entry.at + options.staleMs);
    return entry.value;
  }

  async function load(key: string, ask: () => Promise<T | undefined>): Promise<T | undefined> {
    const before = forgotten;
    try {
      const value = await ask();
      // What was forgotten while it was read must not come back.
      if (value === undefined || before !== forgotten) entries.delete(key);
      else put(key, value);
      return value;
    } catch (error) {
      return stale(key) ?? thrown(error);
    }
  }

  return {
    fresh,
    last: (key) => entries.get(key)?.value,
    get: (key, ask) => {
      const known = fresh(key);
      return known === undefined ? once(key, () => load(key, ask)) : Promise.resolve(known);
    },
    put,
    forget: (key) => void (forgotten += Number(entries.delete(key)) + 1),
    forgetWhere(isMeant) {
      forgotten += 1;
      for (const [key, entry] of entries) if (isMeant(entry.value)) entries.delete(key);
    },
  };
}

function thrown(error: unknown): never {
  throw error;
}
