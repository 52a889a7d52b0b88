import type { App } from "#src/app.ts";
import type { Flow, Incoming, Sink } from "#src/http/exchange.ts";
import { rewriteEndpoint } from "./first-event.ts";
import type { Heartbeat, Listener } from "./heartbeat.ts";
import type { Cuttable, OpenStreams } from "./open-streams.ts";

type Relaying = Pick<App, "now"> & {
  readonly heartbeat: Heartbeat;
  readonly openStreams: OpenStreams;
};

type Relayed = {
  /** What the reader's bearer rests on. */
  readonly subjects: readonly string[];
  /** When the call began, in milliseconds. */
  readonly since: number;
  /** Rewrites the first event where it names a 2024-11-05 endpoint. */
  readonly endpoint: ((endpoint: string) => string) | undefined;
};

const encoder = new TextEncoder();
const comment = encoder.encode(": keepalive\n\n");
/** Bun sends a response's head with its first byte: without this a quiet stream would not seem to open. */
const opening = encoder.encode(": open\n\n");
const [twoLineFeeds, twoReturns, twoLineEnds] = [0x0a_0a, 0x0d_0d, 0x0d_0a_0d_0a];
const queue = new ByteLengthQueuingStrategy({ highWaterMark: 64 * 1024 });

/**
 * Passes an event stream on as it comes and as fast as its reader takes it: beyond 64 KiB that nobody has
 * read yet, the upstream has to wait. Between events, quiet streams get comments.
 * When the reader goes away, or what its bearer rests on has ended, the upstream's connection is closed.
 */
export function relayEvents(
  app: Relaying,
  incoming: Incoming,
  { subjects, since, endpoint }: Relayed,
): ReadableStream<Uint8Array> {
  const relay = new Relay(app, subjects);
  const sink = endpoint === undefined ? relay : rewriteEndpoint(relay, endpoint);
  relay.flow = incoming.flow(sink);
  const stream = new ReadableStream<Uint8Array>(relay, queue);
  app.openStreams.join(subjects, relay, since);
  return stream;
}

/** One object for all that a stream needs: thousands of them are open and most have nothing to do. */
class Relay implements Sink, Listener, Cuttable, UnderlyingDefaultSource<Uint8Array> {
  flow: Flow | undefined;
  quietSince: number;
  readonly #app: Relaying;
  readonly #subjects: readonly string[];
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** The last four bytes, across chunks; a stream begins between two events. */
  #tail = twoLineFeeds;

  constructor(app: Relaying, subjects: readonly string[]) {
    this.#app = app;
    this.#subjects = subjects;
    this.quietSince = app.now().getTime();
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    this.#app.heartbeat.join(this);
    controller.enqueue(opening);
  }

  pull(): void {
    this.flow?.resume();
  }

  cancel(): void {
    this.#leave();
    this.flow?.cancel();
  }

  cut(): void {
    this.cancel();
    this.#controller?.close();
  }

  chunk(bytes: Uint8Array<ArrayBuffer>): void {
    this.#tail = tailOf(this.#tail, bytes);
    this.quietSince = this.#app.now().getTime();
    this.#controller?.enqueue(bytes);
    if (!this.#hasRoom()) this.flow?.pause();
  }

  end(): void {
    this.#leave();
    this.#controller?.close();
  }

  fail(error: Error): void {
    this.#leave();
    // Bun prints what an answer's stream fails with, and the upstream's words are not for the log.
    this.#controller?.error(new Error(error.name));
  }

  beat(): void {
    if (!endsEvent(this.#tail) || !this.#hasRoom()) return;
    this.quietSince = this.#app.now().getTime();
    this.#controller?.enqueue(comment);
  }

  #leave(): void {
    this.#app.heartbeat.leave(this);
    this.#app.openStreams.leave(this.#subjects, this);
  }

  #hasRoom(): boolean {
    return (this.#controller?.desiredSize ?? 0) > 0;
  }
}

/** The last four bytes as one number. */
function tailOf(before: number, chunk: Uint8Array): number {
  let tail = before;
  for (const byte of chunk.subarray(-4)) tail = (tail << 8) | byte;
  return tail;
}

/** An empty line ends an event, in whatever chunks its bytes arrive. */
function endsEvent(tail: number): boolean {
  const lastTwo = tail & 0xff_ff;
  return lastTwo === twoLineFeeds || lastTwo === twoReturns || tail === twoLineEnds;
}
