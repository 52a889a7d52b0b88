import { Failure } from "./failure.ts";

const pending = new Set<{ readonly endsAt: number; expire(): void }>();
const sweepMs = 250;
let sweeper: ReturnType<typeof setInterval> | undefined;

function sweep(): void {
  const now = performance.now();
  for (const each of pending) {
    if (each.endsAt > now) continue;
    pending.delete(each);
    each.expire();
  }
  if (pending.size > 0) return;
  clearInterval(sweeper);
  sweeper = undefined;
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
    const limit = { endsAt: performance.now() + milliseconds, expire: () => reject(late()) };
    pending.add(limit);
    sweeper ??= setInterval(sweep, sweepMs);
    work.then(
      (value) => {
        pending.delete(limit);
        return resolve(value);
      },
      (error: unknown) => {
        pending.delete(limit);
        reject(error);
      },
    );
  });
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
