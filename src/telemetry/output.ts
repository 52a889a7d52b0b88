/** Takes text for a log; false when nobody reads and it was dropped. */
export type Write = (text: string) => boolean;

type Output = Pick<NodeJS.WriteStream, "write" | "on">;

const mostUnread = 8 * 1024 * 1024;

/** Writes to a stream that nobody may be reading: 8 MiB wait at most, and a reader that has gone ends nothing. */
export function boundedWriter(output: () => Output): Write {
  let unread = 0;
  let isWatched = false;
  return (text) => {
    const stream = output();
    if (!isWatched) {
      isWatched = true;
      stream.on("drain", () => {
        unread = 0;
      });
      stream.on("error", () => {
        unread = Infinity;
      });
    }
    if (unread > mostUnread) return false;
    if (!stream.write(text)) unread += text.length;
    return true;
  };
}
