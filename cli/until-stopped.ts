/** Resolves with the first SIGINT or SIGTERM; a second one ends the process at once. */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      process.once(name, () => {
        process.once(name, () => process.exit(130));
        resolve(name);
      });
    }
  });
}
