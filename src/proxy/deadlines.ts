/** One clock for every running call: cheaper than a timer each. Expires at most 50 ms late. */
export type Deadlines = {
  /** Begins to watch a call. `watcher` is told once, if the call still runs at the next tick. */
  open(watcher?: Watcher): Deadline;
  stop(): void;
};

export type Deadline = {
  /** Lets `running` expire once, unless the deadline is closed or set anew before. */
  set(milliseconds: number, running: Expirable): void;
  /** Without a limit again. */
  lift(): void;
  close(): void;
};

type Watcher = { tick(): void };

/** What has a time limit. */
type Expirable = { expire(): void };

const tickMs = 50;

class Watched implements Deadline {
  at = Number.POSITIVE_INFINITY;
  running: Expirable | undefined;
  watcher: Watcher | undefined;
  readonly #all: Set<Watched>;
  readonly #now: () => number;

  constructor(all: Set<Watched>, now: () => number) {
    this.#all = all;
    this.#now = now;
    all.add(this);
  }

  set(milliseconds: number, running: Expirable): void {
    this.at = this.#now() + milliseconds;
    this.running = running;
  }

  lift(): void {
    this.at = Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.#all.delete(this);
  }
}

export function createDeadlines(now: () => number): Deadlines {
  const all = new Set<Watched>();
  const timer = setInterval(() => {
    const time = now();
    for (const watched of all) tickAlone(watched, time);
  }, tickMs);
  return {
    open(watcher) {
      const watched = new Watched(all, now);
      watched.watcher = watcher;
      return watched;
    },
    stop: () => clearInterval(timer),
  };
}

/** One that fails must not keep the others waiting. */
function tickAlone(watched: Watched, time: number): void {
  try {
    tick(watched, time);
  } catch {
    watched.close();
  }
}

function tick(watched: Watched, time: number): void {
  watched.watcher?.tick();
  watched.watcher = undefined;
  if (watched.at > time) return;
  watched.lift();
  watched.running?.expire();
}
