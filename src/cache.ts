import { type Once, createOnce } from "./once.ts";

/** A bounded memory of what another place knows better. */
export type Cache<T> = {
  /** What is known and fresh, at once. */
  fresh(key: string): T | undefined;
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

type Entry<T> = { readonly value: T; readonly at: number };

export function createCache<T>(options: CacheOptions): Cache<T> {
  const entries = new Map<string, Entry<T>>();
  const once: Once = createOnce();

  function put(key: string, value: T): void {
    entries.delete(key);
    entries.set(key, { value, at: options.now() });
    if (entries.size > options.size) {
      const [oldest] = entries.keys();
      if (oldest !== undefined) entries.delete(oldest);
    }
  }

  function younger(key: string, milliseconds: number): T | undefined {
    const entry = entries.get(key);
    return entry !== undefined && options.now() - entry.at < milliseconds ? entry.value : undefined;
  }

  async function load(key: string, ask: () => Promise<T | undefined>): Promise<T | undefined> {
    try {
      const value = await ask();
      if (value === undefined) entries.delete(key);
      if (value !== undefined) put(key, value);
      return value;
    } catch (error) {
      const known = younger(key, options.staleMs);
      if (known === undefined) throw error;
      return known;
    }
  }

  return {
    fresh: (key) => younger(key, options.freshMs),
    get: (key, ask) => {
      const known = younger(key, options.freshMs);
      return known === undefined ? once(key, () => load(key, ask)) : Promise.resolve(known);
    },
    put,
    forget: (key) => void entries.delete(key),
    forgetWhere(isMeant) {
      for (const [key, entry] of entries) if (isMeant(entry.value)) entries.delete(key);
    },
  };
}
