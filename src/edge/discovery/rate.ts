/** Works now, and after pauses that double from the first to the longest. */
export function repeat(firstMs: number, longestMs: number, work: () => void): { stop(): void } {
  let timer: ReturnType<typeof setTimeout>;
  const next = (pauseMs: number) => {
    work();
    timer = setTimeout(next, pauseMs, Math.min(2 * pauseMs, longestMs)).unref();
  };
  next(firstMs);
  return { stop: () => clearTimeout(timer) };
}

/** Works at once when it has not lately, else when the pause is over: whoever asks meanwhile is not left without an answer. */
export function atMostEvery(pauseMs: number, work: () => void): { soon(): void; stop(): void } {
  let workedAt = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const now = () => {
    timer = undefined;
    workedAt = performance.now();
    work();
  };
  return {
    soon: () => {
      timer ??= setTimeout(now, Math.max(0, workedAt + pauseMs - performance.now())).unref();
    },
    stop: () => clearTimeout(timer),
  };
}
