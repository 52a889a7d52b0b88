/** Room for so many at once, in a file whose tests run beside each other; the others wait in line. */
export type Room = {
  /** What `open` makes once there is room; the next in line is let in when it has been disposed of. */
  hold<T extends AsyncDisposable>(open: () => Promise<T>): Promise<T>;
};

export function roomFor(most: number): Room {
  const line: (() => void)[] = [];
  let free = most;
  const enter = async () => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => line.push(resolve));
  };
  const leave = () => {
    const next = line.shift();
    if (next === undefined) free += 1;
    else next();
  };
  return {
    async hold(open) {
      await enter();
      await using stack = new AsyncDisposableStack();
      stack.defer(leave);
      const made = stack.use(await open());
      const owned = stack.move();
      return { ...made, [Symbol.asyncDispose]: () => owned.disposeAsync() };
    },
  };
}
