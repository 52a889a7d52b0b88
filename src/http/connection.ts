import type { Cancel } from "#src/clock.ts";
import type { Incoming, Pin, Flow, Sink, Suits } from "./exchange.ts";
import { ConnectionEnded, LostAfterSending, reasonOf } from "./reason.ts";
import { scheduleAfterAnswers, scheduleSend, scheduleAnswer } from "./event-loop.ts";
import type { EncodedRequest, Head, ParserEvents } from "./http1.ts";
import { ResponseBroken, ResponseParser, bytesOf, restOf } from "./http1.ts";

/*
 * A connection to an upstream, the answer on its way, and connections that wait for the next:
 *   send → receive → parser (http1.ts) → Answer → its listener → looked at, whole and clean → kept, else ended
 */

/** A socket as far as a connection needs one. */
type Wire = {
  /** How many of the bytes were taken; negative when the socket is closed. */
  write(bytes: Uint8Array, offset: number, length: number): number;
  pause(): unknown;
  resume(): unknown;
  terminate(): unknown;
  ref(): unknown;
  unref(): unknown;
};

const mostSentBytes = 64 * 1024;
/** Where a server commonly closes after five seconds of silence, we are gone after four; earlier where it says so. */
const longestIdleMs = 4000;

const cutOff = "connection closed before the answer was whole";

type Pool = Pick<IdleConnections, "keep" | "forget">;

/** One HTTP/1.1 connection to an upstream: one exchange at a time, reused only after a clean end. */
export class Connection {
  /** Whom it leads to; what asks for the same may take it over. */
  readonly origin: string;
  readonly pin: Pin | undefined;
  socket: Wire | undefined;
  /** When it fell idle, and how long it may be. */
  idleSince = 0;
  idleMs = longestIdleMs;
  readonly #pool: Pool;
  #opening: Settle<Connection> | undefined;
  #request: EncodedRequest | undefined;
  #unsent: Uint8Array | undefined;
  #answer: Answer | undefined;
  #isHeld = false;
  #isOver = false;
  #sentBytes = 0;
  #isUnsent = false;
  #hasReceived = false;
  /** Its last answer was looked at, so that it may carry another; until then it waits for that. */
  #isLooked = false;
  #waits = false;

  constructor(origin: string, pool: Pool, opening: Settle<Connection>, pin?: Pin) {
    this.origin = origin;
    this.pin = pin;
    this.#pool = pool;
    this.#opening = opening;
  }

  attach(socket: Wire): void {
    this.socket = socket;
    if (this.#isOver) socket.terminate();
  }

  opened(): void {
    this.#opening?.resolve(this);
    this.#opening = undefined;
  }

  send(request: EncodedRequest, method: string, cancel: Cancel): Promise<Incoming> {
    return new Promise((resolve, reject) => {
      this.#sentBytes = request.length;
      this.#hasReceived = false;
      this.#isLooked = false;
      this.#waits = false;
      this.#answer = new Answer(this, method, { resolve, reject });
      cancel.stops(this.#answer);
      this.#isUnsent = true;
      this.#request = request;
      scheduleSend(this);
    });
  }

  hold(): void {
    if (!this.#isHeld) this.socket?.pause();
    this.#isHeld = true;
  }

  resume(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.socket?.resume();
  }

  /** The answer is whole; the connection may carry another one only if both sides agree where it ended. */
  complete(isReusable: boolean, keepAliveMs: number | undefined): void {
    this.#answer = undefined;
    this.idleMs = Math.min(keepAliveMs ?? longestIdleMs, longestIdleMs);
    // After a big body nobody knows whether the upstream has read it all or answered before it did.
    const isSent = (this.#request ?? this.#unsent) === undefined;
    const isFree = isReusable && isSent && this.#sentBytes <= mostSentBytes;
    if (!isFree || this.#isOver) this.socket?.terminate();
    // Nobody else has it before its answer was looked at: one that belongs to another request ends it (`distrust`).
    else scheduleAfterAnswers(this);
  }

  /** Whoever the answer is for has looked at all of it. */
  looked(): void {
    this.#isLooked = true;
    if (this.#waits) this.#keep();
  }

  /** The connection is over, for whatever reason. */
  fail(error: Error): void {
    const [answer, opening] = [this.#answer, this.#opening];
    // Ending the socket tells that it is closed, which is not why.
    this.#answer = undefined;
    this.#opening = undefined;
    this.#isOver = true;
    this.socket?.terminate();
    this.#pool.forget(this);
    opening?.reject(error);
    answer?.fail(answer.isAnswered ? error : this.#lost(error));
  }

  /** What is wrong with an answer is told as that; whoever has cancelled knows why. */
  #lost(error: Error): Error {
    if (error instanceof ResponseBroken) return error;
    const known = { isUnsent: this.#isUnsent, hasBegun: this.#hasReceived };
    return new LostAfterSending(reasonOf(error), known);
  }

  receive(bytes: Uint8Array<ArrayBuffer>): void {
    // Nobody asked: a server that talks out of turn is not trusted with another request.
    if (this.#answer === undefined)
      return this.fail(new ConnectionEnded("bytes that nobody asked for"));
    this.#hasReceived = true;
    try {
      this.#answer.parser.push(bytes);
    } catch (error) {
      this.fail(error instanceof Error ? error : new ConnectionEnded("unreadable answer"));
    }
  }

  closed(): void {
    try {
      if (this.#answer?.isAnswered === true) this.#answer.parser.close();
      this.fail(new ConnectionEnded(cutOff));
    } catch (error) {
      this.fail(error instanceof Error ? error : new ConnectionEnded(cutOff));
    }
  }

  drained(): void {
    if (this.#unsent !== undefined) this.#write(this.#unsent, this.#unsent.length);
  }

  /** Its turn has come: to be written to, or, with nothing to send, to be kept for another exchange. */
  run(): void {
    const request = this.#request;
    this.#request = undefined;
    if (request === undefined) return this.#keep();
    try {
      this.#write(bytesOf(request), request.length);
    } catch (error) {
      this.fail(error instanceof Error ? error : new ConnectionEnded(cutOff));
    }
  }

  #keep(): void {
    this.#waits = !this.#isLooked;
    if (!this.#waits && !this.#isOver) this.#pool.keep(this);
  }

  #write(bytes: Uint8Array, length: number): void {
    if (this.#isOver) return;
    const written = this.socket?.write(bytes, 0, length) ?? -1;
    this.#isUnsent = written < 0 && length === this.#sentBytes;
    if (written < 0) return this.fail(new ConnectionEnded(cutOff));
    this.#unsent = written < length ? restOf(bytes, written, length) : undefined;
  }
}

/** Connections that wait for their next exchange, by origin. They keep no process alive. */
type IdleConnections = {
  /** One that its server has not been silent on for too long. */
  take(origin: string): Connection | undefined;
  keep(connection: Connection): void;
  forget(connection: Connection): void;
};

const mostPerOrigin = 256;
const sweepMs = 1000;

export function createIdleConnections(now: () => number): IdleConnections {
  const idle = new Map<string, Connection[]>();
  let sweeper: ReturnType<typeof setInterval> | undefined;

  const isFresh = ({ idleSince, idleMs }: Connection) => now() - idleSince < idleMs;
  const tooLong = () => new Error("idle for too long");

  function sweep(): void {
    for (const [origin, connections] of idle) {
      for (const old of connections.filter((each) => !isFresh(each))) old.fail(tooLong());
      if (connections.length === 0) idle.delete(origin);
    }
    if (idle.size > 0) return;
    clearInterval(sweeper);
    sweeper = undefined;
  }

  return {
    take(origin) {
      const connections = idle.get(origin);
      for (;;) {
        const connection = connections?.pop();
        if (connection === undefined) return undefined;
        if (isFresh(connection)) {
          connection.socket?.ref();
          return connection;
        }
        connection.fail(tooLong());
      }
    },
    keep(connection) {
      const others = idle.get(connection.origin) ?? [];
      idle.set(connection.origin, others);
      connection.idleSince = now();
      connection.resume();
      connection.socket?.unref();
      others.push(connection);
      if (others.length > mostPerOrigin) others[0]?.fail(new Error("too many idle connections"));
      sweeper ??= setInterval(sweep, sweepMs).unref();
    },
    forget(connection) {
      const others = idle.get(connection.origin);
      const index = others?.indexOf(connection) ?? -1;
      if (index !== -1) others?.splice(index, 1);
    },
  };
}

const none: ReadonlyMap<string, string> = new Map();

type Settle<T> = { resolve(value: T): void; reject(error: Error): void };

/** So much may wait for a slow listener; then the upstream has to wait. */
const mostWaitingBytes = 64 * 1024;

/** One answer: what the parser tells goes in, what the gateway asks for comes out. */
class Answer implements ParserEvents, Incoming, Flow {
  status = 0;
  headers: ReadonlyMap<string, string> = none;
  isReusable = false;
  #keepAliveMs: number | undefined;
  readonly parser: ResponseParser;
  readonly #connection: Connection;
  #settle: Settle<Incoming> | undefined;
  #told: Settle<Incoming> | undefined;
  /** What arrived while nobody listens or the listener is paused. */
  readonly #waiting: Uint8Array<ArrayBuffer>[] = [];
  #waitingBytes = 0;
  #sink: Sink | undefined;
  #isPaused = true;
  #outcome: "running" | "ended" | Error = "running";
  #isLooked = false;

  constructor(connection: Connection, method: string, settle: Settle<Incoming>) {
    this.#connection = connection;
    this.#settle = settle;
    this.parser = new ResponseParser(method, this);
  }

  get isAnswered(): boolean {
    return this.status !== 0;
  }

  head({ status, headers, isReusable, keepAliveMs }: Head): void {
    this.#keepAliveMs = keepAliveMs;
    this.status = status;
    this.headers = headers;
    this.isReusable = isReusable;
    this.#told = this.#settle;
    this.#settle = undefined;
    scheduleAnswer(this);
  }

  /** Tells whoever waits that the head is there. */
  run(): void {
    this.#told?.resolve(this);
    this.#told = undefined;
  }

  chunk(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#outcome !== "running") return;
    if (this.#sink !== undefined && !this.#isPaused && this.#waiting.length === 0) {
      return this.#sink.chunk(bytes);
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#pass();
    if (this.#waitingBytes >= mostWaitingBytes) this.#connection.hold();
  }

  end(isClean: boolean): void {
    if (this.#outcome !== "running") return;
    this.#outcome = "ended";
    this.#connection.complete(isClean && this.isReusable, this.#keepAliveMs);
    this.#pass();
  }

  fail(error: Error): void {
    this.#outcome = error;
    this.#settle?.reject(error);
    this.#settle = undefined;
    this.#pass();
  }

  flow(sink: Sink): Flow {
    this.#sink = sink;
    // Whoever wants the body has read the head; thousands of quiet streams need not keep it.
    this.headers = none;
    return this;
  }

  taken(mostBytes: number, suits?: Suits): Uint8Array<ArrayBuffer> | undefined {
    const [only] = this.#waiting;
    const isThere = this.#outcome === "ended" && this.#sink === undefined;
    if (!isThere || only === undefined || this.#waiting.length > 1) return undefined;
    if (only.length > mostBytes || suits?.(only) === false) return undefined;
    this.#waiting.length = 0;
    this.headers = none;
    this.#look();
    return only;
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** What waits comes first: only a listener who wants more than that is worth another piece. */
  resume(): void {
    this.#isPaused = false;
    this.#pass();
    if (this.#outcome === "running" && !this.#isPaused) this.#connection.resume();
  }

  cancel(): void {
    this.#sink = undefined;
    this.stop();
  }

  distrust(): void {
    this.#connection.fail(new ConnectionEnded("an answer to another request"));
  }

  /** Unlike after `cancel`, the listener is told. */
  stop(): void {
    // What nobody has looked at may be the answer to another request.
    const isOpen = this.#outcome === "ended" ? !this.#isLooked : this.#outcome === "running";
    if (isOpen) this.#connection.fail(new Error("cancelled"));
  }

  #look(): void {
    this.#isLooked = true;
    this.#connection.looked();
  }

  /** Hands on what waits, as far as the listener wants it, and then the end. */
  #pass(): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    while (this.#waiting.length > 0 && !this.#isPaused && this.#sink === sink) {
      const next = this.#waiting.shift();
      if (next !== undefined) this.#passOne(sink, next);
    }
    if (this.#waiting.length === 0 && this.#sink === sink) this.#passEnd(sink);
  }

  #passOne(sink: Sink, bytes: Uint8Array<ArrayBuffer>): void {
    this.#waitingBytes -= bytes.length;
    try {
      sink.chunk(bytes);
    } catch (error) {
      this.#sink = undefined;
      this.stop();
      sink.fail(error instanceof Error ? error : new Error("the listener failed"));
    }
  }

  #passEnd(sink: Sink): void {
    if (this.#outcome === "running") return;
    this.#sink = undefined;
    if (this.#outcome !== "ended") return sink.fail(this.#outcome);
    sink.end();
    this.#look();
  }
}
