/** `npm` passes on what the terminal has told the whole group already: one Ctrl-C comes twice, within milliseconds. */
const echoMs = 1000;

/**
 * Calls `stop` with the first SIGINT or SIGTERM. One more within a second is the same one; a later one ends the process
 * at once, with 130. Returns how to stop listening.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): () => void {
  let askedAt: number | undefined;
  // One listener for both: Deno also calls a listener that was added while the signal was being told.
  const listener = (signal: NodeJS.Signals) => {
    if (askedAt === undefined) {
      askedAt = performance.now();
      stop(signal);
    } else if (performance.now() - askedAt > echoMs) process.exit(interrupted);
  };
  process.on("SIGINT", listener);
  process.on("SIGTERM", listener);
  return () => {
    process.off("SIGINT", listener);
    process.off("SIGTERM", listener);
  };
}

export const interrupted = 130;
