import type { OutgoingRequest } from "./exchange.ts";

/*
 * HTTP/1.1 as it goes over a connection (RFC 9112): requests as bytes, bytes as responses.
 */

/** Where a URL leads. */
export type Target = {
  readonly origin: string;
  readonly hostname: string;
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly path: string;
};

/** A request as it goes out, in its pieces: most of a head is what it was for the request before. */
export type EncodedRequest = {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly body: Uint8Array | undefined;
  /** Of all of them. */
  readonly length: number;
};

/** An HTTP/1.1 request (RFC 9112). Throws when a header holds what would end it. */
export function encodeRequest(
  { method, headers, body }: Pick<OutgoingRequest, "method" | "headers" | "body">,
  target: Target,
): EncodedRequest {
  const start = startOf({ method, headers }, target);
  const end = endOf(body?.length);
  return { start, end, body, length: start.length + end.length + (body?.length ?? 0) };
}

/** Most requests need no memory of their own: the kernel copies them before the next one is put together. */
const sendBuffer = new Uint8Array(16 * 1024);

/** The first `length` of these bytes are the request, until the next call: what is kept is kept with `restOf`. */
export function bytesOf({ start, end, body, length }: EncodedRequest): Uint8Array {
  const bytes = length <= sendBuffer.length ? sendBuffer : new Uint8Array(length);
  bytes.set(start);
  bytes.set(end, start.length);
  if (body !== undefined) bytes.set(body, start.length + end.length);
  return bytes;
}

/** What has not gone out of `length` bytes. */
export function restOf(bytes: Uint8Array, gone: number, length: number): Uint8Array {
  return bytes === sendBuffer ? bytes.slice(gone, length) : bytes.subarray(gone, length);
}

/** Upstreams are few and their URLs the same for every call; message endpoints of 2024-11-05 are not. */
const targets = new Map<string, Target>();
const mostTargets = 200;

/** Throws when `text` is not an absolute URL. */
export function targetOf(text: string): Target {
  const known = targets.get(text);
  if (known !== undefined) return known;
  const { origin, hostname, host, port, protocol, pathname, search } = new URL(text);
  const isTls = protocol === "https:";
  const target = {
    origin,
    hostname: hostname.replace(/^\[|\]$/g, ""),
    host,
    port: Number(port) || (isTls ? 443 : 80),
    isTls,
    path: pathname + search,
  };
  if (targets.size >= mostTargets) targets.clear();
  targets.set(text, target);
  return target;
}

type Headers = OutgoingRequest["headers"];

type Start = { readonly method: string; readonly target: Target; readonly bytes: Buffer };
/** Of headers that were sent before: the same object is the same text. */
const written = new WeakMap<Headers, Start>();

/** The request line and the header lines (RFC 9112 sections 3 and 5). */
function startOf({ method, headers }: Pick<OutgoingRequest, "method" | "headers">, target: Target) {
  const known = written.get(headers);
  if (known?.method === method && known.target === target) return known.bytes;
  let lines = `${method} ${target.path} HTTP/1.1\r\nhost: ${target.host}\r\n`;
  for (const name in headers) {
    const value = headers[name] ?? "";
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new Error(`the header ${name} cannot be sent`);
    }
    lines += `${name}: ${value}\r\n`;
  }
  const bytes = Buffer.from(lines, "latin1");
  written.set(headers, { method, target, bytes });
  return bytes;
}

/** By the length of the body: most are as long as one before. */
const ends = new Map<number | undefined, Buffer>();
const mostEnds = 1000;

/** What says how long the body is, and the empty line. */
function endOf(length: number | undefined): Buffer {
  const known = ends.get(length);
  if (known !== undefined) return known;
  const framing = length === undefined ? "" : `content-length: ${length}\r\n`;
  const bytes = Buffer.from(`${framing}\r\n`, "latin1");
  if (ends.size >= mostEnds) ends.clear();
  ends.set(length, bytes);
  return bytes;
}

/** What a parser has understood of one HTTP/1.1 response. */
export type Head = {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** Whether the connection may carry another exchange once the body is complete. */
  readonly isReusable: boolean;
  /** How long the server keeps the connection without another exchange, a little less; undefined when it does not say. */
  readonly keepAliveMs: number | undefined;
};

export type ParserEvents = {
  head(head: Head): void;
  chunk(bytes: Uint8Array<ArrayBuffer>): void;
  /** The message is complete; `isClean` when nothing came behind it. */
  end(isClean: boolean): void;
};

/** The response breaks RFC 9112. */
export class ResponseBroken extends Error {
  constructor(reason: string) {
    super(`the upstream's HTTP is broken: ${reason}`);
    this.name = "ResponseBroken";
  }
}

/** Of a head, and of all trailers. */
const mostHeadBytes = 64 * 1024;
const mostLineBytes = 4096;
const [carriageReturn, lineFeed] = [13, 10];

type State =
  | "head"
  | "length"
  | "until_close"
  | "chunk_size"
  | "chunk_data"
  | "chunk_end"
  | "trailers"
  | "done";

type Bytes = Uint8Array<ArrayBuffer>;

const nothing: Bytes = new Uint8Array(0);

/** Reads one response as it arrives, in whatever pieces (RFC 9112 sections 4, 6 and 7.1). */
export class ResponseParser {
  readonly #method: string;
  readonly #events: ParserEvents;
  #state: State = "head";
  #held: Bytes | undefined;
  #left = 0;
  #trailerBytes = 0;

  constructor(method: string, events: ParserEvents) {
    this.#method = method;
    this.#events = events;
  }

  /** Takes what arrived. Throws `ResponseBroken`. */
  push(bytes: Bytes): void {
    let rest = this.#held === undefined ? bytes : concat(this.#held, bytes);
    this.#held = undefined;
    while (rest.length > 0 && this.#state !== "done") {
      const used = this.#step(rest);
      if (used === 0) {
        this.#held = rest;
        return;
      }
      // Most end with their body, and a view of nothing costs as much as another.
      rest = used === rest.length ? nothing : rest.subarray(used);
    }
    if (this.#state === "done") this.#events.end(rest.length === 0);
  }

  /** The connection has ended. Throws `ResponseBroken` when the message was not complete. */
  close(): void {
    if (this.#state === "done") return;
    if (this.#state !== "until_close") throw new ResponseBroken("it ended early");
    this.#state = "done";
    this.#events.end(false);
  }

  /** Consumes a beginning of `rest` and says how much; 0 when more is needed to decide. */
  #step(rest: Bytes): number {
    switch (this.#state) {
      case "head":
        return this.#head(rest);
      case "length":
      case "chunk_data":
        return this.#body(rest);
      case "chunk_size":
        return this.#chunkSize(rest);
      case "chunk_end":
        return this.#chunkEnd(rest);
      case "trailers":
        return this.#trailer(rest);
      case "until_close":
      case "done":
        break;
    }
    this.#events.chunk(rest);
    return rest.length;
  }

  #head(rest: Bytes): number {
    if (last !== undefined && beginsWith(rest, last.bytes))
      return this.#take(last.head, last.bytes.length);
    const end = indexOfEmptyLine(rest);
    if (end === -1) {
      if (rest.length > mostHeadBytes) throw new ResponseBroken("its head is too long");
      return 0;
    }
    const head = parseHead(latin1(rest.subarray(0, end)));
    if (end <= longestKept) last = { bytes: Buffer.from(rest.subarray(0, end + 4)), head };
    return this.#take(head, end + 4);
  }

  #take(head: Head, length: number): number {
    // 1xx answers come before the real one.
    if (head.status >= 200) this.#begin(head);
    return length;
  }

  #begin(head: Head): void {
    const framing = framingOf(this.#method, head);
    this.#left = framing.length;
    this.#state = framing.state === "length" && framing.length === 0 ? "done" : framing.state;
    const isReusable = head.isReusable && framing.state !== "until_close";
    this.#events.head(isReusable === head.isReusable ? head : { ...head, isReusable });
  }

  #body(rest: Bytes): number {
    const part = rest.length > this.#left ? rest.subarray(0, this.#left) : rest;
    this.#left -= part.length;
    if (this.#left === 0) this.#state = this.#state === "length" ? "done" : "chunk_end";
    this.#events.chunk(part);
    return part.length;
  }

  #chunkSize(rest: Bytes): number {
    const line = lineIn(rest);
    if (line === undefined) return 0;
    const size = /^([0-9a-fA-F]{1,8})[ \t]*(;.*)?$/.exec(line)?.[1];
    if (size === undefined) throw new ResponseBroken("a chunk has no size");
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailers" : "chunk_data";
    return line.length + 2;
  }

  #chunkEnd(rest: Bytes): number {
    if (rest.length < 2) return 0;
    if (rest[0] !== carriageReturn || rest[1] !== lineFeed) {
      throw new ResponseBroken("a chunk does not end");
    }
    this.#state = "chunk_size";
    return 2;
  }

  #trailer(rest: Bytes): number {
    const line = lineIn(rest, mostHeadBytes);
    if (line === undefined) return 0;
    this.#trailerBytes += line.length + 2;
    if (this.#trailerBytes > mostHeadBytes) throw new ResponseBroken("its trailers are too long");
    if (line === "") this.#state = "done";
    return line.length + 2;
  }
}

/** Servers say the same again and again: the last head, with its empty line, is read once. Beyond so many bytes none is kept. */
const longestKept = 1024;
let last: { readonly bytes: Buffer; readonly head: Head } | undefined;

function beginsWith(bytes: Uint8Array, start: Buffer): boolean {
  return bytes.length >= start.length && start.compare(bytes, 0, start.length) === 0;
}

function parseHead(text: string): Head {
  const [first = "", ...lines] = text.split("\r\n");
  const [, minor, status] = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(first) ?? [];
  if (status === undefined) throw new ResponseBroken("it does not begin with a status");
  if (Number(status) > 599) throw new ResponseBroken("its status does not exist");
  const headers = new Map<string, string>();
  for (const line of lines) addHeader(headers, line);
  const connection = headers.get("connection")?.toLowerCase() ?? "";
  const isKept = minor === "1" ? !connection.includes("close") : connection.includes("keep-alive");
  const keepAliveMs = keepAliveIn(headers.get("keep-alive"));
  return { status: Number(status), headers, isReusable: isKept && keepAliveMs !== 0, keepAliveMs };
}

/** Of what a server says we are gone a second before, or after half of it. */
const leadMs = 1000;

/** `timeout` of `Keep-Alive: timeout=5, max=100` (RFC 2068 section 19.7.1.1). */
function keepAliveIn(value: string | undefined): number | undefined {
  const seconds = /(?:^|[\s,;])timeout\s*=\s*"?(\d{1,9})/i.exec(value ?? "")?.[1];
  if (seconds === undefined) return undefined;
  const limitMs = Number(seconds) * 1000;
  return Math.max(limitMs - leadMs, limitMs / 2);
}

const tokenOnly = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function addHeader(headers: Map<string, string>, line: string): void {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(colon, 0));
  if (!tokenOnly.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(line)) {
    throw new ResponseBroken("a header cannot be read");
  }
  const value = withoutBlanks(line, colon + 1);
  const key = name.toLowerCase();
  const known = headers.get(key);
  headers.set(key, known === undefined ? value : `${known}, ${value}`);
}

/** Not `trim`: the last byte of a letter in UTF-8 may look like a blank to it. */
function withoutBlanks(line: string, from: number): string {
  let [start, end] = [from, line.length];
  while (start < end && isBlank(line.charCodeAt(start))) start += 1;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end -= 1;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

type Framing = { readonly state: State; readonly length: number };

/** RFC 9112 section 6.3, with one answer for everything ambiguous: refuse it. */
function framingOf(method: string, { status, headers }: Head): Framing {
  if (method === "HEAD" || status === 204 || status === 304) return { state: "done", length: 0 };
  const coding = headers.get("transfer-encoding")?.toLowerCase();
  const length = headers.get("content-length");
  if (coding === undefined) {
    return length === undefined ? { state: "until_close", length: 0 } : lengthFraming(length);
  }
  if (coding !== "chunked" || length !== undefined) {
    throw new ResponseBroken("its framing is ambiguous");
  }
  return { state: "chunk_size", length: 0 };
}

function lengthFraming(text: string): Framing {
  const [first = "", ...others] = text.split(",").map((each) => each.trim());
  if (!/^\d{1,15}$/.test(first) || others.some((each) => each !== first)) {
    throw new ResponseBroken("its length is ambiguous");
  }
  return { state: "length", length: Number(first) };
}

/** The first line, without its end; undefined while it has none. */
function lineIn(bytes: Uint8Array, mostBytes = mostLineBytes): string | undefined {
  const end = bytes.indexOf(lineFeed);
  if (end === -1) {
    if (bytes.length > mostBytes) throw new ResponseBroken("a line is too long");
    return undefined;
  }
  if (bytes[end - 1] !== carriageReturn) throw new ResponseBroken("a line ends wrongly");
  return latin1(bytes.subarray(0, end - 1));
}

/** Byte for byte; what TextDecoder calls latin1 is windows-1252. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function indexOfEmptyLine(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf("\r\n\r\n");
}

function concat(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(left.length + right.length);
  whole.set(left);
  whole.set(right, left.length);
  return whole;
}
