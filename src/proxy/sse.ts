/** A piece of an event stream. */
export type Piece = {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** An event ends with it. */
  readonly isEnd: boolean;
};

/** The same bytes, not a copy. */
export function viewOf(bytes: Uint8Array<ArrayBuffer>): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const [lineFeed, carriageReturn, blank] = [0x0a, 0x0d, 0x20];

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
      at = this.#afterEmptyLines(bytes, at);
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

  /** However many follow, they end nothing: they go with the event before them. */
  #afterEmptyLines(bytes: Uint8Array, from: number): number {
    let at = from;
    for (; bytes[at] === lineFeed || bytes[at] === carriageReturn; at += 1) {
      this.#wasReturn = bytes[at] === carriageReturn;
    }
    if (at < bytes.length) this.#wasReturn = false;
    return at;
  }

  #lineEndFrom(bytes: Uint8Array, from: number): number {
    if (this.#feed < from) this.#feed = feedFrom(bytes, from);
    const back = bytes.subarray(from, this.#feed).indexOf(carriageReturn);
    return back === -1 ? this.#feed : from + back;
  }
}

/** Of `event`, `data`, `id`, `retry`. */
const fieldStarts = new Set(Buffer.from("edir"));
const [emptyLine, emptyReturnLine] = [Buffer.from("\n\n"), Buffer.from("\r\n\r\n")];

/** Whether this is surely one whole event, which begins with a field: neither a comment nor anything that some readers skip. */
export function isOneEvent(bytes: Uint8Array<ArrayBuffer>): boolean {
  const view = viewOf(bytes);
  if (!fieldStarts.has(view[0] ?? 0)) return false;
  if (goesOnBehind(view, emptyLine) || goesOnBehind(view, emptyReturnLine)) return false;
  // As most servers write it.
  if (view.at(-1) === lineFeed && view.at(-2) === lineFeed && !view.includes(carriageReturn))
    return true;
  const [only, more] = new SseSplitter().cut(bytes);
  return only?.isEnd === true && more === undefined;
}

function goesOnBehind(bytes: Buffer, end: Buffer): boolean {
  const at = bytes.indexOf(end);
  return at !== -1 && at + end.length < bytes.length;
}

/** Searched for by the runtime: streams of half a gigabyte pass here. The end of the bytes where there is none. */
function feedFrom(bytes: Uint8Array, from: number): number {
  const feed = bytes.indexOf(lineFeed, from);
  return feed === -1 ? bytes.length : feed;
}

/**
 * What one event of a stream says (HTML, server-sent events, section 9.2.6): a line is a field, a colon and a value,
 * of which one space before it is none; several `data` are one text of several lines; of `event` the last one counts.
 */
type EventFields = {
  readonly type: string;
  /** Undefined: nothing that a reader is told of. */
  readonly data: string | undefined;
};

const lineEnds = /\r\n|\n|\r/;

/** @param event With its lines, and the empty one that ends it. */
export function fieldsOf(event: string): EventFields {
  let type = "";
  const data: string[] = [];
  for (const line of event.split(lineEnds)) {
    const value = valueOf(line, "data");
    if (value !== undefined) data.push(value);
    type = valueOf(line, "event") ?? type;
  }
  return { type: type || "message", data: data.length === 0 ? undefined : data.join("\n") };
}

/** What a reader takes for the message; empty where there is none. */
export function dataOf(event: string): string {
  return fieldsOf(event).data ?? "";
}

const decoder = new TextDecoder();
const dataField = Buffer.from("data");
const colon = 0x3a;

/** The same in UTF-8: of most events one line as it lies there. */
export function messageIn(event: Buffer): Buffer {
  return onlyData(event) ?? Buffer.from(dataOf(decoder.decode(event)));
}

/** Undefined where the word stands anywhere but in one line, or that line ends with CR alone. */
function onlyData(event: Buffer): Buffer | undefined {
  const start = event.indexOf(dataField);
  const from = start + dataField.length + 1;
  if (start === -1 || event[from - 1] !== colon || !isLineStart(event, start)) return undefined;
  const end = event.indexOf(lineFeed, from);
  if (end === -1 || event.includes(dataField, end)) return undefined;
  const value = event.subarray(from, event[end - 1] === carriageReturn ? end - 1 : end);
  if (value.includes(carriageReturn)) return undefined;
  return value[0] === blank ? value.subarray(1) : value;
}

function isLineStart(bytes: Buffer, at: number): boolean {
  return at === 0 || bytes[at - 1] === lineFeed || bytes[at - 1] === carriageReturn;
}

/** The value of a line, if it is this field's. */
export function valueOf(line: string, field: string): string | undefined {
  if (!line.startsWith(field)) return undefined;
  if (line.length === field.length) return "";
  if (line[field.length] !== ":") return undefined;
  const at = field.length + 1;
  return line.slice(line[at] === " " ? at + 1 : at);
}

/** The same event with another message, in one line; everything else stays as it was written. */
export function withData(event: string, data: string): string {
  const parts = event.split(/(\r\n|\n|\r)/);
  let isWritten = false;
  let out = "";
  for (let at = 0; at < parts.length; at += 2) {
    const [line = "", end = ""] = parts.slice(at, at + 2);
    if (valueOf(line, "data") === undefined) out += line + end;
    else if (!isWritten) out += `data: ${data}${end}`;
    isWritten ||= valueOf(line, "data") !== undefined;
  }
  return out;
}

const [leastBytes, mostReused] = [1024, 256 * 1024];

/** Bytes of one event: as many pieces as it comes in, one piece of memory. */
export class ByteBuffer {
  #bytes = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(piece: Uint8Array): void {
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length) {
      const room = new Uint8Array(Math.max(2 * this.#bytes.length, needed, leastBytes));
      room.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = room;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = needed;
  }

  /** A view of all there is; what is added after `clear` overwrites it. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Keeps the first bytes alone, in memory of their size. */
  cut(bytes: number): void {
    this.#length = Math.min(this.#length, bytes);
    this.#bytes = this.#bytes.slice(0, this.#length);
  }

  /** Begins anew, in the same memory unless that is much. */
  clear(): void {
    if (this.#bytes.length > mostReused) this.#bytes = new Uint8Array(0);
    this.#length = 0;
  }
}
