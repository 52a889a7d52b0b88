/** A piece of an event stream. */
export type Piece = {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** An event ends with it. */
  readonly isEnd: boolean;
};

const [lineFeed, carriageReturn] = [0x0a, 0x0d];

/**
 * Cuts an event stream behind each event (HTML, server-sent events: an empty line ends one; lines end with LF, CR
 * or both), in whatever chunks its bytes arrive. Nothing is copied.
 */
export class EventCutter {
  /** The last byte ended a line. */
  #isLineStart = true;
  /** The last byte was a CR: an LF that follows belongs to it. */
  #wasReturn = false;

  cut(bytes: Uint8Array<ArrayBuffer>): readonly Piece[] {
    const pieces: Piece[] = [];
    let start = 0;
    let at = 0;
    while (at < bytes.length) {
      const isFeedOfReturn = this.#wasReturn && bytes[at] === lineFeed;
      this.#wasReturn = false;
      if (isFeedOfReturn) {
        at += 1;
        continue;
      }
      const end = lineEndFrom(bytes, at);
      if (end > at) this.#isLineStart = false;
      if (end === bytes.length) break;
      const isEmptyLine = this.#isLineStart;
      this.#isLineStart = true;
      this.#wasReturn = bytes[end] === carriageReturn;
      at = end + 1;
      if (!isEmptyLine) continue;
      if (this.#wasReturn && bytes[at] === lineFeed) {
        this.#wasReturn = false;
        at += 1;
      }
      pieces.push({ bytes: bytes.subarray(start, at), isEnd: true });
      start = at;
    }
    if (start < bytes.length) pieces.push({ bytes: bytes.subarray(start), isEnd: false });
    return pieces;
  }
}

/** Searched for by the runtime: streams of half a gigabyte pass here. */
function lineEndFrom(bytes: Uint8Array, from: number): number {
  const feed = bytes.indexOf(lineFeed, from);
  const end = feed === -1 ? bytes.length : feed;
  const back = bytes.subarray(from, end).indexOf(carriageReturn);
  return back === -1 ? end : from + back;
}
