import type { Cancel } from "#src/clock.ts";

/** One request to an upstream, as it goes out. */
export type OutgoingRequest = {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer> | undefined;
  readonly cancel: Cancel;
  /** Where the name of the address is not to be looked up, or authorities are not to be asked. */
  readonly pin?: Pin;
  /** On a connection of its own. */
  readonly isFresh?: boolean;
};

/** Whom a connection has to lead to. */
export type Pin = {
  /** IP address to connect to. */
  readonly address?: string;
  /** SHA-256 of the certificate, in hex, in place of authorities and host name. */
  readonly certificate?: string;
};

/** Where the pieces of a body go. */
export type Sink = {
  chunk(bytes: Uint8Array<ArrayBuffer>): void;
  end(): void;
  fail(error: Error): void;
};

/** A running body. It begins paused: nothing reaches the sink before the first `resume`. */
export type Flow = {
  pause(): void;
  resume(): void;
  /** Ends the exchange; the sink hears nothing more. */
  cancel(): void;
};

/** What a body that is taken whole has to be. */
export type Suits = (body: Uint8Array<ArrayBuffer>) => boolean;

/** Headers by their lower-case names. */
export type HeaderReader = { get(name: string): string | null | undefined };

export type Incoming = {
  readonly status: number;
  readonly headers: HeaderReader;
  /** Opens the body; to be called once. */
  flow(sink: Sink): Flow;
  /** The whole body, where it has come already in one piece, is no longer than that, and suits; then the answer is over. */
  taken?(mostBytes: number, suits?: Suits): Uint8Array<ArrayBuffer> | undefined;
  /** It was not the answer to this request: nothing else may come over its connection. Absent where it has none. */
  distrust?(): void;
};

/**
 * Sends one request and resolves with the head of its answer. Redirects are answers, nothing is sent twice,
 * nothing is decompressed. Rejects when the connection fails or the exchange is cancelled; with `LostAfterSending` when
 * the request may have reached the server.
 */
export type Exchange = (request: OutgoingRequest) => Promise<Incoming>;

/** How much of a body is read whole. */
export type BodyLimits = {
  readonly mostBytes: number;
  readonly tooLarge?: () => Error;
  /** Told of bytes as they come; throws when there is no room for them. */
  readonly grow?: (bytes: number) => void;
};

/** The whole body. Rejects beyond the limits, and with whatever the body fails with. */
export function wholeBody(
  incoming: Incoming,
  { mostBytes, tooLarge = () => new Error("the answer is too large"), grow }: BodyLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const done = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let isRefused = false;
  const flow = incoming.flow({
    chunk(bytes) {
      // What came in one piece with the refused one comes all the same.
      if (isRefused) return;
      size += bytes.length;
      try {
        if (size > mostBytes) throw tooLarge();
        grow?.(bytes.length);
        parts.push(bytes);
      } catch (error) {
        isRefused = true;
        flow.cancel();
        done.reject(error);
      }
    },
    end: () =>
      done.resolve(parts.length === 1 && parts[0] !== undefined ? parts[0] : joined(parts, size)),
    fail: (error) => done.reject(error),
  });
  flow.resume();
  return done.promise;
}

/** Lets go of a body that nobody wants. */
export function discard(incoming: Incoming): void {
  incoming.flow({ chunk: () => undefined, end: () => undefined, fail: () => undefined }).cancel();
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
