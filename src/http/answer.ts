import type { Flow, Incoming, Sink } from "./exchange.ts";
import { ConnectionEnded } from "./reason.ts";
import { scheduleAnswer } from "./event-loop.ts";
import { type Head, type ParserEvents, ResponseParser } from "./response-parser.ts";

/** What an answer asks of the connection that it arrives on. */
export type Carrier = {
  hold(): void;
  resume(): void;
  /** The answer is whole. `keepAliveMs`: how long the server says that it keeps the connection. */
  complete(isReusable: boolean, keepAliveMs: number | undefined): void;
  /** Whoever the answer is for has looked at all of it. */
  looked(): void;
  fail(error: Error): void;
};

const none: ReadonlyMap<string, string> = new Map();

export type Settle<T> = { resolve(value: T): void; reject(error: Error): void };

/** So much may wait for a slow listener; then the upstream has to wait. */
const mostWaitingBytes = 64 * 1024;

/** One answer: what the parser tells goes in, what the gateway asks for comes out. */
export class Answer implements ParserEvents, Incoming, Flow {
  status = 0;
  headers: ReadonlyMap<string, string> = none;
  isReusable = false;
  #keepAliveMs: number | undefined;
  readonly parser: ResponseParser;
  readonly #carrier: Carrier;
  #settle: Settle<Incoming> | undefined;
  #told: Settle<Incoming> | undefined;
  /** What arrived while nobody listens or the listener is paused. */
  readonly #waiting: Uint8Array<ArrayBuffer>[] = [];
  #waitingBytes = 0;
  #sink: Sink | undefined;
  #isPaused = true;
  #outcome: "running" | "ended" | Error = "running";
  #isLooked = false;

  constructor(carrier: Carrier, method: string, settle: Settle<Incoming>) {
    this.#carrier = carrier;
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
    if (this.#waitingBytes >= mostWaitingBytes) this.#carrier.hold();
  }

  end(isClean: boolean): void {
    if (this.#outcome !== "running") return;
    this.#outcome = "ended";
    this.#carrier.complete(isClean && this.isReusable, this.#keepAliveMs);
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

  taken(mostBytes: number): Uint8Array<ArrayBuffer> | undefined {
    const [only] = this.#waiting;
    const isThere = this.#outcome === "ended" && this.#sink === undefined;
    if (!isThere || only === undefined || this.#waiting.length > 1) return undefined;
    if (only.length > mostBytes) return undefined;
    this.#waiting.length = 0;
    this.headers = none;
    this.#look();
    return only;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#outcome === "running") this.#carrier.resume();
    this.#pass();
  }

  cancel(): void {
    this.#sink = undefined;
    this.stop();
  }

  distrust(): void {
    this.#carrier.fail(new ConnectionEnded("an answer to another request"));
  }

  /** Unlike after `cancel`, the listener is told. */
  stop(): void {
    // What nobody has looked at may be the answer to another request.
    const isOpen = this.#outcome === "ended" ? !this.#isLooked : this.#outcome === "running";
    if (isOpen) this.#carrier.fail(new Error("cancelled"));
  }

  #look(): void {
    this.#isLooked = true;
    this.#carrier.looked();
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
