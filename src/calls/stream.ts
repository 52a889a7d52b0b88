import type { Flow, Incoming, Sink } from "#src/http/exchange.ts";
import type { Heartbeat, Listener } from "./heartbeat.ts";

type RelayOptions = {
  readonly heartbeat: Heartbeat;
  readonly now: () => number;
  /** Stands between the upstream and the reader, where an event has to be changed. */
  readonly through?: (sink: Sink) => Sink;
};

const encoder = new TextEncoder();
const comment = encoder.encode(": keepalive\n\n");
/** Bun sends a response's head with its first byte: without this a quiet stream would not seem to open. */
const opening = encoder.encode(": open\n\n");
const [lineFeed, carriageReturn] = [10, 13];
const mostQueuedBytes = 64 * 1024;

/**
 * Passes an event stream on as it comes and as fast as its reader takes it: beyond 64 KiB that nobody has
 * read yet, the upstream has to wait. Between events, quiet streams get comments.
 * When the reader goes away the upstream's connection is closed.
 */
export function relayEvents(incoming: Incoming, options: RelayOptions): ReadableStream<Uint8Array> {
  const { heartbeat, now, through } = options;
  let isBetweenEvents = true;
  let listener: Listener | undefined;
  let flow: Flow | undefined;

  function begin(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const hasRoom = () => (controller.desiredSize ?? 0) > 0;
    const own: Listener = {
      quietSince: now(),
      beat() {
        if (!isBetweenEvents || !hasRoom()) return;
        own.quietSince = now();
        controller.enqueue(comment);
      },
    };
    const sink: Sink = {
      chunk(bytes) {
        isBetweenEvents = endsEvent(bytes);
        own.quietSince = now();
        controller.enqueue(bytes);
        if (!hasRoom()) flow?.pause();
      },
      end() {
        heartbeat.leave(own);
        controller.close();
      },
      fail(error) {
        heartbeat.leave(own);
        controller.error(error);
      },
    };
    listener = own;
    heartbeat.join(own);
    controller.enqueue(opening);
    flow = incoming.flow(through === undefined ? sink : through(sink));
  }

  return new ReadableStream<Uint8Array>(
    {
      start: begin,
      pull: () => flow?.resume(),
      cancel() {
        if (listener !== undefined) heartbeat.leave(listener);
        flow?.cancel();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: mostQueuedBytes }),
  );
}

/** A chunk that ends with an empty line leaves no event open. One that is split there waits for the next. */
function endsEvent(chunk: Uint8Array): boolean {
  const { length } = chunk;
  const [third, second, last] = [chunk[length - 3], chunk[length - 2], chunk[length - 1]];
  if (last === carriageReturn) return second === carriageReturn;
  if (last !== lineFeed) return false;
  return second === lineFeed || (second === carriageReturn && third === lineFeed);
}
