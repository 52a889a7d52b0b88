/** Resolves with the first SIGINT or SIGTERM; a second one ends the process at once. */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isAsked = false;
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      // One listener for both: Deno also calls a listener that was added while the signal was being told.
      process.on(name, () => {
        if (isAsked) process.exit(130);
        isAsked = true;
        resolve(name);
      });
    }
  });
}
