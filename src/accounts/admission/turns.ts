/** Lets so many work at the same time; the others wait in line. */
export type Turns = {
  /** Resolves with how to give the turn back; undefined when there is none in time or the line is full. */
  take(waitMs: number): Promise<(() => void) | undefined>;
};

export function createTurns(atOnce: number, mostWaiting: number): Turns {
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
