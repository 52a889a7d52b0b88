import { Failure } from "./failure.ts";

/*
 * Time: what it is now, what is under way, how long anything may take, who is told when it has taken too long, and how
 * one exchange is cancelled.
 */

/** Within a millisecond the same moment: a call asks a dozen times. Nobody changes one that was handed out. */
export function createNow(): () => Date {
  let last = new Date();
  return () => {
    const at = Date.now();
    if (at !== last.getTime()) last = new Date(at);
    return last;
  };
}

/** The same in milliseconds. */
export function millisecondsOf(app: { readonly now: () => Date }): () => number {
  return () => app.now().getTime();
}

/**
 * What is under way, in no order: the last takes the place of whoever leaves. For what comes and goes with each call, a
 * Set costs more than it looks: every table that JavaScriptCore's has left behind holds what was in it, and the table
 * after it, so that a single old one keeps all that came later until the whole heap is collected (decision 0029).
 */
export class Roster<T> {
  readonly #members: Member<T>[] = [];

  /** How many there are. */
  get size(): number {
    return this.#members.length;
  }

  /** Adds one; twice, where it is added twice. */
  join(value: T): Place {
    return new Member(this.#members, value);
  }

  /** A copy: whoever is told of it may leave. */
  all(): readonly T[] {
    return this.#members.map(({ value }) => value);
  }
}

export type Place = {
  /** A second time it does nothing. */
  leave(): void;
};

class Member<T> implements Place {
  readonly value: T;
  readonly #members: Member<T>[];
  #index: number;

  constructor(members: Member<T>[], value: T) {
    this.value = value;
    this.#members = members;
    this.#index = members.push(this) - 1;
  }

  leave(): void {
    if (this.#index < 0) return;
    const last = this.#members.pop();
    if (last !== undefined && last !== this) {
      this.#members[this.#index] = last;
      last.#index = this.#index;
    }
    this.#index = -1;
  }
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

/** The same as `within` for what nearly always ends at once: all share one timer, and it may be 250 ms late. */
export function withinAbout<T>(
  milliseconds: number,
  work: Promise<T>,
  late: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const endsAt = performance.now() + milliseconds;
    const expire = () => {
      place.leave();
      reject(late());
    };
    const place = pending.join({ endsAt, expire });
    sweeper ??= setInterval(sweep, sweepMs);
    work.then(
      (value) => {
        place.leave();
        return resolve(value);
      },
      (error: unknown) => {
        place.leave();
        reject(error);
      },
    );
  });
}

const pending = new Roster<{ readonly endsAt: number; expire(): void }>();
const sweepMs = 250;
let sweeper: ReturnType<typeof setInterval> | undefined;

function sweep(): void {
  const now = performance.now();
  for (const each of pending.all()) if (each.endsAt <= now) each.expire();
  if (pending.size > 0) return;
  clearInterval(sweeper);
  sweeper = undefined;
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

export function createDeadlines(now: () => number): Deadlines {
  const running = new Roster<Watched>();
  const timer = setInterval(() => {
    const time = now();
    for (const watched of running.all()) tickAlone(watched, time);
  }, tickMs);
  return {
    open(watcher) {
      const watched = new Watched(running, now);
      watched.watcher = watcher;
      return watched;
    },
    stop: () => clearInterval(timer),
  };
}

class Watched implements Deadline {
  at = Number.POSITIVE_INFINITY;
  running: Expirable | undefined;
  watcher: Watcher | undefined;
  readonly #place: Place;
  readonly #now: () => number;

  constructor(running: Roster<Watched>, now: () => number) {
    this.#place = running.join(this);
    this.#now = now;
  }

  set(milliseconds: number, running: Expirable): void {
    this.at = this.#now() + milliseconds;
    this.running = running;
  }

  lift(): void {
    this.at = Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.#place.leave();
    // Another one that expires may have closed it.
    this.lift();
    this.watcher = undefined;
  }
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

/** Something that can be stopped. */
type Stoppable = { stop(): void };

/** What an AbortController does for one exchange, at a fraction of its cost: every call has one of these. */
export class Cancel {
  #isCancelled = false;
  #isLate = false;
  #running: Stoppable | undefined;

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Its time was over, and nobody has gone away. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** Says what is to be stopped; the last one to say so is. */
  stops(running: Stoppable): void {
    this.#running = running;
    if (this.#isCancelled) running.stop();
  }

  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.#running?.stop();
  }

  expire(): void {
    if (!this.#isCancelled) this.#isLate = true;
    this.cancel();
  }
}
