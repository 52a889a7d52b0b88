/** Callers who want the same thing at the same time share one promise. */
export type SingleFlight = {
  <T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Resolves when everything that runs now has ended, however. */
  settled(): Promise<void>;
};

/** One per process. A key is forgotten as soon as its work ends, so nothing is ever cached. */
export function createSingleFlight(): SingleFlight {
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
