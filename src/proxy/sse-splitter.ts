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
export class SseSplitter {
  /** The last byte ended a line. */
  #isLineStart = true;
  /** The last byte was a CR: an LF that follows belongs to it. */
  #wasReturn = false;
  /** The next LF of the chunk: looked for once, however many lines end with CR alone. */
  #feed = -1;

  cut(bytes: Uint8Array<ArrayBuffer>): readonly Piece[] {
    const pieces: Piece[] = [];
    let start = 0;
    for (let at = this.#afterReturn(bytes, 0); at < bytes.length;) {
      const end = this.#lineEndFrom(bytes, at);
      if (end > at) this.#isLineStart = false;
      if (end === bytes.length) break;
      const isEmptyLine = this.#isLineStart;
      this.#isLineStart = true;
      this.#wasReturn = bytes[end] === carriageReturn;
      at = this.#afterReturn(bytes, end + 1);
      if (!isEmptyLine) continue;
      pieces.push({ bytes: bytes.subarray(start, at), isEnd: true });
      start = at;
    }
    this.#feed = -1;
    if (start < bytes.length) pieces.push({ bytes: bytes.subarray(start), isEnd: false });
    return pieces;
  }

  /** Passes over the LF that belongs to a CR before it. */
  #afterReturn(bytes: Uint8Array, at: number): number {
    if (!this.#wasReturn || at >= bytes.length) return at;
    this.#wasReturn = false;
    return bytes[at] === lineFeed ? at + 1 : at;
  }

  #lineEndFrom(bytes: Uint8Array, from: number): number {
    if (this.#feed < from) this.#feed = feedFrom(bytes, from);
    const back = bytes.subarray(from, this.#feed).indexOf(carriageReturn);
    return back === -1 ? this.#feed : from + back;
  }
}

/** Searched for by the runtime: streams of half a gigabyte pass here. The end of the bytes where there is none. */
function feedFrom(bytes: Uint8Array, from: number): number {
  const feed = bytes.indexOf(lineFeed, from);
  return feed === -1 ? bytes.length : feed;
}
