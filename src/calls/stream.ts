import type { Heartbeat, Listener } from "./heartbeat.ts";

type RelayOptions = {
  readonly heartbeat: Heartbeat;
  readonly now: () => number;
  /** Called once when the stream has ended, for whatever reason. */
  readonly ended: () => void;
};

const encoder = new TextEncoder();
const comment = encoder.encode(": keepalive\n\n");
/** Bun sends a response's head with its first byte: without this a quiet stream would not seem to open. */
const opening = encoder.encode(": open\n\n");
const [lineFeed, carriageReturn] = [10, 13];

/**
 * Passes an event stream on, chunk by chunk, as fast as its reader takes it: nothing is gathered, and the
 * upstream is read only when there is room. Between events, quiet streams get comments.
 * When the reader goes away the upstream is cancelled.
 */
export function relayEvents(
  body: ReadableStream<Uint8Array>,
  options: RelayOptions,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let isBetweenEvents = true;
  let isOpen = true;
  let listener: Listener | undefined;

  function end(): void {
    if (!isOpen) return;
    isOpen = false;
    if (listener !== undefined) options.heartbeat.leave(listener);
    options.ended();
  }

  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(opening);
      listener = {
        quietSince: options.now(),
        beat() {
          if (!isOpen || !isBetweenEvents || (controller.desiredSize ?? 0) <= 0) return;
          this.quietSince = options.now();
          controller.enqueue(comment);
        },
      };
      options.heartbeat.join(listener);
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          end();
          controller.close();
          return;
        }
        isBetweenEvents = endsEvent(value);
        if (listener !== undefined) listener.quietSince = options.now();
        controller.enqueue(value);
      } catch (error) {
        end();
        controller.error(error);
      }
    },
    cancel(reason) {
      end();
      return reader.cancel(reason);
    },
  });
}

/** A chunk that ends with an empty line leaves no event open. One that is split there waits for the next. */
function endsEvent(chunk: Uint8Array): boolean {
  const [third, second, last] = chunk.subarray(-3);
  if (chunk.length === 2) return third === lineFeed && second === lineFeed;
  if (last !== lineFeed) return last === carriageReturn && second === carriageReturn;
  return second === lineFeed || (second === carriageReturn && third === lineFeed);
}
