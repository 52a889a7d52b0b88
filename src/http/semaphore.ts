/** Lets so many work at the same time; the others wait in line. */
export type Semaphore = {
  /** Resolves with how to give the permit back; undefined when there is none in time or the line is full. */
  take(waitMs: number): Promise<(() => void) | undefined>;
  /** Nobody works or waits. */
  isIdle(): boolean;
};

export function createSemaphore(atOnce: number, mostWaiting: number): Semaphore {
  const line = new Set<() => void>();
  let running = 0;

  function begin(): () => void {
    running += 1;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      running -= 1;
      const [next] = line;
      next?.();
    };
  }

  return {
    isIdle: () => running === 0 && line.size === 0,
    take(waitMs) {
      if (running < atOnce) return Promise.resolve(begin());
      if (line.size >= mostWaiting) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        const go = () => {
          clearTimeout(timer);
          line.delete(go);
          resolve(begin());
        };
        const timer = setTimeout(
          () => {
            line.delete(go);
            resolve(undefined);
          },
          Math.max(waitMs, 0),
        );
        line.add(go);
      });
    },
  };
}

type Bounds = { readonly atOnce: number; readonly mostWaiting: number; readonly waitMs: number };

/** A semaphore for each key; one that nobody uses is forgotten. The result of `take` is as above. */
export function createSemaphores({ atOnce, mostWaiting, waitMs }: Bounds): {
  take(key: string): Promise<(() => void) | undefined>;
} {
  const all = new Map<string, Semaphore>();
  return {
    async take(key) {
      const semaphore = all.get(key) ?? createSemaphore(atOnce, mostWaiting);
      all.set(key, semaphore);
      const leave = await semaphore.take(waitMs);
      const forget = () => {
        if (semaphore.isIdle() && all.get(key) === semaphore) all.delete(key);
      };
      if (leave === undefined) {
        forget();
        return undefined;
      }
      return () => {
        leave();
        forget();
      };
    },
  };
}
