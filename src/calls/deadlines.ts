/** One clock for every running call: cheaper than a timer each. */
export type Deadlines = {
  /** Calls `expire` once when `milliseconds` have passed, or at most 50 ms later. */
  set(milliseconds: number, expire: () => void): Deadline;
  stop(): void;
};

export type Deadline = { clear(): void };

const tickMs = 50;

export function createDeadlines(now: () => number): Deadlines {
  const waiting = new Set<{ readonly at: number; readonly expire: () => void }>();
  const timer = setInterval(() => {
    const time = now();
    for (const entry of waiting) {
      if (entry.at > time) continue;
      waiting.delete(entry);
      entry.expire();
    }
  }, tickMs);
  return {
    set(milliseconds, expire) {
      const entry = { at: now() + milliseconds, expire };
      waiting.add(entry);
      return { clear: () => void waiting.delete(entry) };
    },
    stop: () => clearInterval(timer),
  };
}
