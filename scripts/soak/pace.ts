export type Rate = {
  /** Begins nothing more; resolves when everything that had begun has ended. */
  stop(): Promise<void>;
};

const tickMillis = 5;
/** Whoever falls so far behind does not catch up: the load stays what it is. */
const mostLateMillis = 1000;

/** Begins work evenly, so often in a second, whether or not what began before has ended. */
export function startPace(perSecond: number, begin: (turn: number) => Promise<void>): Rate {
  const running = new Set<Promise<void>>();
  let turn = 0;
  let nextAt = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    nextAt = Math.max(nextAt, now - mostLateMillis);
    while (nextAt <= now) {
      const work = begin(turn).finally(() => running.delete(work));
      running.add(work);
      turn += 1;
      nextAt += 1000 / perSecond;
    }
  }, tickMillis);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
    },
  };
}
