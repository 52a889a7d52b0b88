/** Counts how much of something runs at the same time. */
export function countAtOnce() {
  let [running, most] = [0, 0];
  return {
    most: () => most,
    async run<T>(work: () => Promise<T>): Promise<T> {
      running += 1;
      most = Math.max(most, running);
      try {
        return await work();
      } finally {
        running -= 1;
      }
    },
  };
}
