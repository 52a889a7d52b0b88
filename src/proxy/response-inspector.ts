import { Failure } from "#src/failure.ts";
import type { Flow, Incoming, Sink } from "#src/http/exchange.ts";
import { answersAnother, tellsAnother } from "./rpc-id.ts";
import { turn } from "#src/http/event-loop.ts";
import { anothers, strayList, unclearList } from "./answer-faults.ts";
import { HeldEvent, mostHeld } from "./held-event.ts";
import { type Inspection, listIn, mayHoldToolList, mostTold } from "./inspection.ts";
import { type Piece, SseSplitter, dataOf, messageIn, valueOf, viewOf, withData } from "./sse.ts";

/** So many events are looked at before others have their turn. */
const mostAtOnce = 256;
const nothing = new Uint8Array(0);
const colon = 0x3a;
const [idKey, escape] = [Buffer.from('"id"'), Buffer.from("\\u")];
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/**
 * Looks at an answer while it passes, event by event; one without events is one. Bytes pass as they come, but for
 * two things: where a list of tools or the answer to one request is expected, an event is held until it is whole or
 * 1 MiB has come, and everywhere what may be such a list from where it begins, so that no client gets to see another's
 * answer, or a definition that nobody has judged.
 */
export class ResponseInspector implements Sink, Flow {
  flow: Flow | undefined;
  /** What the answer came in: nothing else may come over its connection once it was another's. */
  incoming: Pick<Incoming, "distrust"> | undefined;
  readonly #sink: Sink;
  readonly #inspection: Inspection;
  readonly #splitter: SseSplitter | undefined;
  /** The one under way: between two events there is none. */
  #event: HeldEvent | undefined;
  /** The last event that said something. */
  #last: Uint8Array<ArrayBuffer> = nothing;
  #size = 0;
  /** What may pass, and has not gone on yet: pieces of one chunk go on together. */
  #passing: Uint8Array<ArrayBuffer> = nothing;
  /** Judging a list, or letting others have their turn; what comes after it has to wait. */
  #chain: Promise<void> | undefined;
  #isOver = false;
  /** Why the flow is paused: its reader has enough, or what has come is still being looked at. */
  #isFull = true;
  #busy = 0;

  constructor(sink: Sink, inspection: Inspection, isStream: boolean) {
    this.#sink = sink;
    this.#inspection = inspection;
    this.#splitter = isStream ? new SseSplitter() : undefined;
  }

  chunk(bytes: Uint8Array<ArrayBuffer>): void {
    this.#size += bytes.length;
    const pieces = this.#splitter?.cut(bytes) ?? [{ bytes, isEnd: false }];
    if (pieces.length <= mostAtOnce) return this.#inTurn(() => this.#takeAll(pieces));
    // Thousands of tiny events in one chunk: whoever sends them holds nobody else up.
    this.#begin();
    for (let start = 0; start < pieces.length; start += mostAtOnce) {
      const some = pieces.slice(start, start + mostAtOnce);
      this.#inTurn(() => this.#takeAll(some));
      this.#inTurn(turn);
    }
    this.#inTurn(() => this.#done());
  }

  pause(): void {
    this.#isFull = true;
    this.flow?.pause();
  }

  resume(): void {
    this.#isFull = false;
    if (this.#busy === 0) this.flow?.resume();
  }

  cancel(): void {
    this.stop();
    this.flow?.cancel();
  }

  #begin(): void {
    this.#busy += 1;
    this.flow?.pause();
  }

  #done(): void {
    this.#busy -= 1;
    if (this.#busy === 0 && !this.#isFull) this.flow?.resume();
  }

  end(): void {
    this.#inTurn(() => {
      const rest = this.#finish();
      const close = () => {
        this.#inspection.ended?.(this.#lastMessage(), this.#size);
        this.#passOver();
        this.#sink.end();
      };
      if (rest !== undefined) return rest.then(() => (this.#isOver ? undefined : close()));
      return this.#isOver ? undefined : close();
    });
  }

  fail(error: Error): void {
    this.#inTurn(() => {
      this.stop();
      this.#sink.fail(error);
    });
  }

  /** Nobody reads any more. */
  stop(): void {
    this.#isOver = true;
    this.#event?.leave();
  }

  /** At once, or behind what is being judged. */
  #inTurn(work: () => Promise<void> | void): void {
    const guarded = () => (this.#isOver ? undefined : work());
    const running = this.#chain === undefined ? guarded() : this.#chain.then(guarded);
    if (running === undefined) return;
    const chain: Promise<void> = running
      .catch((error: unknown) => this.#refuse(error instanceof Error ? error : undefined))
      .finally(() => {
        if (this.#chain === chain) this.#chain = undefined;
      });
    this.#chain = chain;
  }

  #takeAll(pieces: readonly Piece[]): Promise<void> | undefined {
    for (const [index, piece] of pieces.entries()) {
      if (this.#isOver) break;
      const judging = this.#take(piece);
      if (judging === undefined) continue;
      this.#passOver();
      return judging.then(() => this.#takeAll(pieces.slice(index + 1)));
    }
    this.#passOver();
    return undefined;
  }

  #take(piece: Piece): Promise<void> | undefined {
    const { bytes, isEnd } = piece;
    const event = (this.#event ??= new HeldEvent(this.#inspection.caller));
    if (!this.#isKept(event, piece)) return undefined;
    const holds = event.isSuspect || this.#isHeldBack(event);
    const isAll = isEnd && event.size === bytes.length;
    if (!holds && !isAll) this.#passOn(event, bytes);
    return isEnd && !this.#isOver ? this.#finish(isAll ? bytes : nothing) : undefined;
  }

  /** False, and the answer has ended, where it may not go on. */
  #isKept(event: HeldEvent, { bytes, isEnd }: Piece): boolean {
    try {
      event.keep(bytes, isEnd);
      return true;
    } catch (error) {
      this.#refuse(error instanceof Error ? error : undefined);
      return false;
    }
  }

  /** Until it is whole: a list is expected, or its id tells whose answer it is. */
  #isHeldBack({ size }: HeldEvent): boolean {
    const { screen, id } = this.#inspection;
    return (screen !== undefined || id !== null) && size <= mostHeld;
  }

  /** What was held goes first. */
  #passOn(event: HeldEvent, bytes: Uint8Array<ArrayBuffer>): void {
    const { held, size, passed } = event;
    if (passed === 0 && this.#isAnothers(held)) return this.#distrust();
    this.#pass(held.slice(passed, Math.max(size - bytes.length, passed)));
    this.#pass(bytes);
    event.passed = size;
    event.lighten();
  }

  /** An event is whole. `newest` is its last piece, where that was not held. */
  #finish(newest: Uint8Array<ArrayBuffer> = nothing): Promise<void> | undefined {
    const event = this.#event;
    this.#event = undefined;
    if (event === undefined) return undefined;
    const judging = this.#settle(event, newest);
    if (judging !== undefined) return judging.finally(() => event.leave());
    event.leave();
    return undefined;
  }

  #settle(event: HeldEvent, newest: Uint8Array<ArrayBuffer>): Promise<void> | undefined {
    const { held, size, passed, isSuspect } = event;
    const text = isSuspect ? decoder.decode(held) : "";
    const found = text === "" ? "none" : this.#listIn(text);
    if (passed === 0 && this.#isAnothers(held)) {
      this.#distrust();
      return undefined;
    }
    if (found !== "none") return this.#judge(text, found, passed > 0 ? undefined : held);
    if (this.#inspection.ended !== undefined) this.#remember(held);
    const isAll = newest.length === size - passed;
    this.#pass(isAll ? newest : held.slice(passed));
    return undefined;
  }

  /** An answer, and not to the request that waits for one. */
  #isAnothers(held: Uint8Array<ArrayBuffer>): boolean {
    const { id, status } = this.#inspection;
    if (id === null || held.length === 0) return false;
    const bytes = viewOf(held);
    if (this.#splitter === undefined) return answersAnother(bytes, id, status);
    // What names no id, however its letters are written, answers nobody: nothing is decoded of it.
    if (!bytes.includes(idKey) && !bytes.includes(escape)) return false;
    const message = messageIn(bytes);
    return message.length > 0 && tellsAnother(message, id, status);
  }

  /**
   * Readers end lines differently: at CR or not, at characters that end a line in Python. What stands outside
   * of `data`, or in one line of several, must not be a list for any of them.
   */
  #listIn(event: string): ReturnType<typeof listIn> {
    if (this.#splitter === undefined) return listIn(event);
    const found = listIn(this.#dataOf(event));
    const lines = event.split(/\r\n|\n|\r/);
    const isOne = lines.filter((line) => valueOf(line, "data") !== undefined).length === 1;
    const isHidden = (line: string) => {
      const value = valueOf(line, "data");
      return value === undefined
        ? mayHoldToolList(Buffer.from(line))
        : !(isOne && found === "list") && listIn(value.trim()) === "list";
    };
    return lines.some(isHidden) ? "unclear" : found;
  }

  /** A list of tools. Where none belongs, part of it has passed, or readers could differ, it ends the answer. */
  #judge(text: string, found: "list" | "unclear", held: Uint8Array<ArrayBuffer> | undefined) {
    const { screen } = this.#inspection;
    if (screen !== undefined && held !== undefined && found === "list") {
      return this.#screen(text, held, screen);
    }
    this.#refuse(found === "unclear" ? unclearList() : strayList());
    return undefined;
  }

  async #screen(
    text: string,
    held: Uint8Array<ArrayBuffer>,
    screen: NonNullable<Inspection["screen"]>,
  ): Promise<void> {
    this.#begin();
    const changed = await screen(this.#dataOf(text));
    if (this.#isOver) return;
    if (changed === undefined) this.#pass(held.slice());
    else this.#pass(encoder.encode(this.#withData(text, changed)));
    this.#passOver();
    this.#done();
  }

  /** Comments are not messages. */
  #remember(held: Uint8Array<ArrayBuffer>): void {
    if (held.length > 0 && held[0] !== colon) this.#last = held.slice(0, mostTold);
  }

  #lastMessage(): Buffer {
    const last = viewOf(this.#last);
    return this.#splitter === undefined ? last : messageIn(last);
  }

  #dataOf(event: string): string {
    return this.#splitter === undefined ? event : dataOf(event);
  }

  #withData(event: string, data: string): string {
    return this.#splitter === undefined ? data : withData(event, data);
  }

  #pass(bytes: Uint8Array<ArrayBuffer>): void {
    if (bytes.length === 0) return;
    const { buffer, byteOffset, length } = this.#passing;
    if (length > 0 && bytes.buffer === buffer && bytes.byteOffset === byteOffset + length) {
      this.#passing = new Uint8Array(buffer, byteOffset, length + bytes.length);
      return;
    }
    this.#passOver();
    this.#passing = bytes;
  }

  /** Hands on what may pass. */
  #passOver(): void {
    const bytes = this.#passing;
    this.#passing = nothing;
    if (bytes.length > 0) this.#sink.chunk(bytes);
  }

  #distrust(): void {
    // Its connection ends with it, which is not why.
    this.stop();
    this.incoming?.distrust?.();
    this.#refuse(anothers());
  }

  #refuse(error: Error | undefined): void {
    this.stop();
    this.flow?.cancel();
    try {
      this.#passOver();
      this.#sink.fail(error ?? new Failure("upstream_invalid"));
    } catch {
      // Its reader is gone already.
    }
  }
}
