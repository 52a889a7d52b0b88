import type { App } from "#src/app.ts";
import type { Flow, Incoming, Sink } from "#src/http/exchange.ts";
import { type FailureCode, Failure, meaningOf } from "#src/failure.ts";
import type { Inspection } from "./inspection.ts";
import { ResponseInspector } from "./response-inspector.ts";
import { failedResult, withEffect } from "./elicitation-response.ts";
import { internalError } from "./failure-answer.ts";
import { ByteOrderMarkFilter, rewriteEndpoint } from "./endpoint-event.ts";
import type { OpenStream, OpenStreams } from "./open-streams.ts";
import type { RpcId } from "./rpc-id.ts";
import { viewOf } from "./sse.ts";

type Deps = Pick<App, "now"> & { readonly openStreams: OpenStreams };

type Relayed = {
  /** What the reader's bearer rests on. */
  readonly topics: readonly string[];
  /** When the call began, in milliseconds. */
  readonly since: number;
  readonly reader: Reader;
  /** Rewrites the first event where it names a 2024-11-05 endpoint. */
  readonly endpoint: ((endpoint: string) => string) | undefined;
  /** Looks at what passes. */
  readonly inspection: Inspection;
};

/** Who reads a stream. */
export type Reader = {
  /** The request that waits for its answer; null for none or several. */
  readonly id: RpcId;
  /** It has called a tool. */
  readonly acts: boolean;
  /** It sent something and waits; it does not only listen. */
  readonly isAwaited: boolean;
  /** It comes back with the last event id that it has seen: MCP before 2026-07-28. */
  readonly canResume: boolean;
};

const encoder = new TextEncoder();
const comment = encoder.encode(": keepalive\n\n");
/** Bun sends a response's head with its first byte: without this a quiet stream would not seem to open. */
const opening = encoder.encode(": open\n\n");
const [twoLineFeeds, twoReturns, twoLineEnds] = [0x0a_0a, 0x0d_0d, 0x0d_0a_0d_0a];
const queue = unreadAtMost(64 * 1024);

/**
 * So many bytes may wait for the reader of a stream. They count as parts of 1, since Bun sets memory aside for each
 * response that has a mark: as many bytes as the mark says.
 */
export function unreadAtMost(mostBytes: number): QueuingStrategy<Uint8Array> {
  return { highWaterMark: 1, size: (bytes) => (bytes?.byteLength ?? 0) / mostBytes };
}

/**
 * Passes an event stream on as it comes and as fast as its reader takes it: beyond 64 KiB that nobody has
 * read yet, the upstream has to wait. Between events, quiet streams get comments.
 * When the reader goes away, or what its bearer rests on has ended, the upstream's connection is closed.
 */
export function relayEvents(
  app: Deps,
  incoming: Incoming,
  { topics, since, reader, endpoint, inspection }: Relayed,
): ReadableStream<Uint8Array> {
  const relay = new Relay(app, reader);
  const watch = new ResponseInspector(relay, inspection, true);
  const sink = endpoint === undefined ? watch : rewriteEndpoint(watch, endpoint);
  watch.incoming = incoming;
  relay.flow = watch;
  watch.flow = incoming.flow(new ByteOrderMarkFilter(sink));
  const stream = new ReadableStream<Uint8Array>(relay, queue);
  app.openStreams.join(topics, relay, since);
  return stream;
}

/** One object for all that a stream needs: thousands of them are open and most have nothing to do. */
class Relay implements Sink, OpenStream, UnderlyingDefaultSource<Uint8Array> {
  flow: Flow | undefined;
  place: OpenStream["place"];
  quietSince: number;
  readonly #app: Deps;
  readonly #reader: Reader;
  /** An event id has passed: the reader can resume, and its answer may still come elsewhere. */
  #isResumable = false;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** The last four bytes, across chunks; a stream begins between two events. */
  #tail = twoLineFeeds;

  constructor(app: Deps, reader: Reader) {
    this.#app = app;
    this.#reader = reader;
    this.quietSince = app.now().getTime();
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    controller.enqueue(opening);
  }

  pull(): void {
    this.flow?.resume();
  }

  cancel(): void {
    this.place?.leave();
    this.#controller = undefined;
    this.flow?.cancel();
  }

  get isAwaited(): boolean {
    return this.#reader.isAwaited;
  }

  cut(because: FailureCode): void {
    const controller = this.#controller;
    this.cancel();
    this.#controller = controller;
    this.#endWith(because);
  }

  chunk(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#reader.canResume && !this.#isResumable) {
      this.#isResumable = namesEvent(this.#tail, bytes);
    }
    this.#tail = tailOf(this.#tail, bytes);
    this.quietSince = this.#app.now().getTime();
    this.#controller?.enqueue(bytes);
    if (!this.#hasRoom()) this.flow?.pause();
  }

  end(): void {
    this.place?.leave();
    this.#controller?.close();
  }

  fail(error: Error): void {
    this.place?.leave();
    if (error instanceof Failure) this.#endWith(error.code, error.message);
    else this.#endWith("upstream_broke_off");
  }

  beat(): void {
    if (!endsEvent(this.#tail) || !this.#hasRoom()) return;
    this.quietSince = this.#app.now().getTime();
    this.#controller?.enqueue(comment);
  }

  /** What the reader has not read yet comes first. One that can resume is not told that its answer failed. */
  #endWith(because: FailureCode, message: string = meaningOf(because).doc): void {
    if (!this.#isResumable) {
      this.#controller?.enqueue(
        encoder.encode(lastEvent({ because, message }, this.#reader, this.#tail)),
      );
    }
    this.#controller?.close();
    this.#controller = undefined;
  }

  #hasRoom(): boolean {
    return (this.#controller?.desiredSize ?? 0) > 0;
  }
}

/**
 * How a stream ends whose answer will not come: a failed result for the tool that was called, a JSON-RPC error for any
 * other request that waits, or an event `error` where none does. What was under way of an event becomes one of a kind that nobody reads.
 */
function lastEvent(
  { because, message }: { readonly because: FailureCode; readonly message: string },
  { id, acts, canResume }: Reader,
  tail: number,
): string {
  const { rpc } = meaningOf(because);
  const data = { code: because };
  const answer = acts
    ? { result: failedResult(withEffect(message), data, !canResume) }
    : { error: { code: rpc ?? internalError, message, data } };
  const event =
    id === null
      ? `event: error\ndata: ${JSON.stringify({ ...data, message })}\n\n`
      : `event: message\ndata: ${JSON.stringify({ jsonrpc: "2.0", id, ...answer })}\n\n`;
  if (endsEvent(tail)) return event;
  const lastByte = tail & 0xff;
  const lineEnd = lastByte === 0x0a || lastByte === 0x0d ? "" : "\n";
  return `${lineEnd}event: interrupted\n\n${event}`;
}

const idLines = ["\nid:", "\rid:"] as const;
/** What a chunk begins with that goes on with such a line: one of the letters of `id:`. */
const couldEndLine = new Set(Buffer.from("id:"));

/** Whether a line of these bytes begins with `id:`; `before` are the last four bytes of the chunk before. */
function namesEvent(before: number, bytes: Uint8Array<ArrayBuffer>): boolean {
  // Looked at where it lies: streams of half a gigabyte pass here.
  const text = viewOf(bytes);
  if (idLines.some((line) => text.includes(line))) return true;
  if (!couldEndLine.has(text[0] ?? 0)) return false;
  const seam = Buffer.alloc(7);
  seam.writeInt32BE(before | 0);
  text.copy(seam, 4, 0, 3);
  return idLines.some((line) => seam.includes(line));
}

/** The last four bytes as one number. */
function tailOf(before: number, chunk: Uint8Array): number {
  let tail = before;
  for (let at = Math.max(chunk.length - 4, 0); at < chunk.length; at += 1) {
    tail = (tail << 8) | (chunk[at] ?? 0);
  }
  return tail;
}

/** An empty line ends an event, in whatever chunks its bytes arrive. */
function endsEvent(tail: number): boolean {
  const lastTwo = tail & 0xff_ff;
  return lastTwo === twoLineFeeds || lastTwo === twoReturns || tail === twoLineEnds;
}
