/** Lets so many work at the same time; the others wait in line. */
export type Turns = {
  /** Resolves with how to give the turn back; undefined when there is none before `deadline` or the line is full. */
  take(deadline: number): Promise<(() => void) | undefined>;
};

type Waiting = { readonly go: () => void; readonly deadline: number };

export function createTurns(
  atOnce: number,
  options: { readonly mostWaiting: number; readonly now: () => number },
): Turns {
  const line: Waiting[] = [];
  let running = 0;

  function next(): void {
    running -= 1;
    const { now } = options;
    for (let first = line.shift(); first !== undefined; first = line.shift()) {
      if (first.deadline <= now()) continue;
      first.go();
      return;
    }
  }

  function begin(): () => void {
    running += 1;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      next();
    };
  }

  return {
    take(deadline) {
      if (running < atOnce) return Promise.resolve(begin());
      if (line.length >= options.mostWaiting) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve(undefined), Math.max(deadline - options.now(), 0));
        const go = () => {
          clearTimeout(timer);
          resolve(begin());
        };
        line.push({ go, deadline });
      });
    },
  };
}
