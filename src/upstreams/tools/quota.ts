import { ToolProblem } from "./problem.ts";

/**
 * The quota that all sellers of this gateway share at a vendor, because it counts by application. Whoever waits for a
 * family of endpoints takes turns with the other sellers that wait; who repeats what is refused is stopped.
 */
export type Quota = {
  /**
   * Resolves when it is this seller's turn; undefined where nobody has to wait. Failures: `rate_limited` after ten
   * seconds, or while stopped.
   */
  enter(family: string, seller: string): Promise<void> | undefined;
  /** The API has refused a request of this seller (4xx). */
  refused(seller: string): void;
};

type Options = {
  /** Requests a minute of each family; `default` for others. */
  readonly perMinute: Readonly<Record<string, number>> & { readonly default: number };
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
};

/** So much of a rate may be used at once. */
const burstMs = 5000;
const [longestWaitMs, mostWaitingOfOne] = [10_000, 50];
const [mostRefusals, refusalMs, stopMs, mostKnown] = [20, 60_000, 60_000, 10_000];

/** In this process; each replica takes what its own sellers ask for. */
export function createQuota({ perMinute, now, sleep }: Options): Quota {
  const families = new Map<string, Family>();
  const stops = createStops(now);
  return {
    enter(name, seller) {
      if (stops.isStopped(seller)) throw stopped();
      const stepMs = 60_000 / (perMinute[name] ?? perMinute.default);
      const family = families.get(name) ?? new Family(stepMs, { now, sleep });
      families.set(name, family);
      return family.enter(seller);
    },
    refused: (seller) => stops.refused(seller),
  };
}

type Waiter = { readonly until: number; go(): void; refuse(error: ToolProblem): void };

/** Endpoints that share a quota: a rate, and a queue for each seller that waits. */
class Family {
  readonly #stepMs: number;
  readonly #burstMs: number;
  readonly #clock: Pick<Options, "now" | "sleep">;
  /** When all that was let in would have been, one after the other. */
  #freeAt = 0;
  /** In the order of turns: whoever has had one goes to the end. */
  readonly #queues = new Map<string, Waiter[]>();
  #isPumping = false;

  constructor(stepMs: number, clock: Pick<Options, "now" | "sleep">) {
    this.#stepMs = stepMs;
    // One at least is let in at once, however low the rate.
    this.#burstMs = Math.max(burstMs, stepMs);
    this.#clock = clock;
  }

  enter(seller: string): Promise<void> | undefined {
    if (this.#queues.size > 0 || this.#waitMs() > 0) return this.#queue(seller);
    this.#take();
    return undefined;
  }

  #queue(seller: string): Promise<void> {
    const queue = this.#queues.get(seller) ?? [];
    if (queue.length >= mostWaitingOfOne) throw tooMuch();
    const turn = Promise.withResolvers<void>();
    const until = this.#clock.now() + longestWaitMs;
    queue.push({ until, go: turn.resolve, refuse: turn.reject });
    this.#queues.set(seller, queue);
    if (!this.#isPumping) void this.#pump();
    return turn.promise;
  }

  #waitMs(): number {
    const at = this.#clock.now();
    return Math.max(this.#freeAt, at - this.#burstMs) + this.#stepMs - at;
  }

  #take(): void {
    this.#freeAt = Math.max(this.#freeAt, this.#clock.now() - this.#burstMs) + this.#stepMs;
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const waitMs = this.#waitMs();
      if (waitMs > 0) await this.#clock.sleep(waitMs);
      if (this.#clock.now() > next.until) {
        next.refuse(tooMuch());
        continue;
      }
      this.#take();
      next.go();
    }
    this.#isPumping = false;
  }

  /** The first of the seller whose turn it is. */
  #next(): Waiter | undefined {
    for (const [seller, queue] of this.#queues) {
      this.#queues.delete(seller);
      const next = queue.shift();
      if (queue.length > 0) this.#queues.set(seller, queue);
      if (next !== undefined) return next;
    }
    return undefined;
  }
}

/** Who is refused twenty times within a minute asks nothing for the next. */
function createStops(now: () => number) {
  const known = new Map<string, { since: number; count: number; stoppedUntil: number }>();
  return {
    isStopped: (seller: string) => (known.get(seller)?.stoppedUntil ?? 0) > now(),
    refused(seller: string): void {
      const at = now();
      const before = known.get(seller);
      const isFresh = before !== undefined && at - before.since < refusalMs;
      const count = isFresh ? before.count + 1 : 1;
      const stoppedUntil = count >= mostRefusals ? at + stopMs : (before?.stoppedUntil ?? 0);
      // The newest stand last: who has been quiet for longest is forgotten first.
      known.delete(seller);
      known.set(seller, { since: isFresh ? before.since : at, count, stoppedUntil });
      const [oldest] = known.keys();
      if (known.size > mostKnown && oldest !== undefined) known.delete(oldest);
    },
  };
}

function tooMuch(): ToolProblem {
  return new ToolProblem("rate_limited", "Too many requests at once", {
    nextStep: "Wait a minute, and ask for less at once.",
  });
}

function stopped(): ToolProblem {
  return new ToolProblem(
    "rate_limited",
    "Too many refused requests in a minute: vendors block applications for that",
    { nextStep: "Wait a minute. Look at what was refused and why before the next call." },
  );
}
