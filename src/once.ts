import { Failure } from "./failure.ts";

/** Callers who want the same thing at the same time share one promise. */
export type Once = {
  <T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Resolves when everything that runs now has ended, however. */
  settled(): Promise<void>;
};

/** One per process. A key is forgotten as soon as its work ends, so nothing is ever cached. */
export function createOnce(): Once {
  const running = new Map<string, Promise<unknown>>();
  const once = <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const current = running.get(key);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- callers of one key pass the same work
    if (current !== undefined) return current as Promise<T>;
    const started = work().finally(() => running.delete(key));
    running.set(key, started);
    return started;
  };
  return Object.assign(once, {
    settled: async () => void (await Promise.allSettled(running.values())),
  });
}

/** `work`, or the result of `late` when it takes longer than `milliseconds`. Leaves no timer behind. */
export async function within<T>(
  milliseconds: number,
  work: Promise<T>,
  late: () => Error,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** The longest wait for the database on the way of an answer. */
const databaseMs = 5000;

/** A database that has gone silent must not hold anybody for ever. Failures: `database_unavailable`. */
export function timely<T>(asked: Promise<T>): Promise<T> {
  const late = () => new Failure("database_unavailable", undefined, { retryAfterSeconds: 5 });
  return within(databaseMs, asked, late);
}

/** False when it takes longer; true when it has ended, however. Leaves no timer behind. */
export async function endsWithin(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), milliseconds);
  const ended = () => true;
  const isOver = await Promise.race([work.then(ended, ended), late.promise]);
  clearTimeout(timer);
  return isOver;
}
