import { Failure } from "#src/failure.ts";
import type { Flow, Sink } from "#src/http/exchange.ts";
import { EventCutter, type Piece } from "./event-cutter.ts";
import { holdsToolList, mayHoldToolList, seamBytes } from "./tool-lists.ts";

export type Watching = {
  /**
   * The message as the reader may see it, where lists of tools are expected; undefined when nothing changes.
   * Absent where no list belongs: one that comes all the same ends the stream.
   */
  readonly screen: ((json: string) => Promise<string | undefined>) | undefined;
  /** The last message, cut off at 256 KiB, and the size of all; when the answer has ended well. */
  readonly ended: ((last: string, size: number) => void) | undefined;
};

/** All pieces of an event, and those of them that have not been passed on. */
type Event = {
  readonly kept: readonly Uint8Array[];
  readonly held: readonly Uint8Array<ArrayBuffer>[];
};

/** Beyond that an event is not held back any more; beyond four times that, not looked at. */
const mostHeld = 1024 * 1024;
const mostKept = 4 * mostHeld;
export const mostTold = 256 * 1024;
const nothing = Buffer.alloc(0);
const colon = 0x3a;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/**
 * Looks at an answer while it passes, event by event; one without events is one. Bytes pass as they come, but for
 * two things: where lists of tools are expected, an event is held until it is whole, and everywhere the last piece
 * of an event that may be such a list, so that no client gets to see a definition that nobody has judged.
 */
export class AnswerWatch implements Sink {
  flow: Flow | undefined;
  readonly #sink: Sink;
  readonly #watching: Watching;
  readonly #cutter: EventCutter | undefined;
  /** Of the event that is under way. */
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #heldBack: Uint8Array<ArrayBuffer>[] = [];
  #isSuspect = false;
  #seam: Uint8Array = nothing;
  /** The last event that said something. */
  #last: readonly Uint8Array[] = [];
  #size = 0;
  /** Judging a list; what comes after it has to wait. */
  #chain: Promise<void> | undefined;
  #isOver = false;

  constructor(sink: Sink, watching: Watching, isStream: boolean) {
    this.#sink = sink;
    this.#watching = watching;
    this.#cutter = isStream ? new EventCutter() : undefined;
  }

  chunk(bytes: Uint8Array<ArrayBuffer>): void {
    this.#size += bytes.length;
    const pieces = this.#cutter?.cut(bytes) ?? [{ bytes, isEnd: false }];
    for (const piece of pieces) this.#inTurn(() => this.#take(piece));
  }

  end(): void {
    this.#inTurn(() => {
      const rest = this.#finish();
      const close = () => {
        this.#watching.ended?.(this.#lastMessage(), this.#size);
        this.#sink.end();
      };
      if (rest !== undefined) return rest.then(() => (this.#isOver ? undefined : close()));
      return close();
    });
  }

  fail(error: Error): void {
    this.#inTurn(() => this.#sink.fail(error));
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

  #take({ bytes, isEnd }: Piece): Promise<void> | undefined {
    this.#keep(bytes);
    if (this.#isSuspect && this.#keptBytes > mostKept) {
      this.#refuse(undefined);
      return undefined;
    }
    this.#heldBack.push(bytes);
    if (isEnd) return this.#finish();
    const holds = this.#watching.screen !== undefined && this.#keptBytes <= mostHeld;
    if (holds) return undefined;
    // Without events, the end is known only when nothing more comes: the newest piece waits for that.
    const leave = this.#cutter === undefined ? 1 : 0;
    this.#pass(this.#heldBack.splice(0, this.#heldBack.length - leave));
    return undefined;
  }

  #keep(bytes: Uint8Array<ArrayBuffer>): void {
    this.#keptBytes += bytes.length;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const seam = Buffer.concat([this.#seam, text.subarray(0, seamBytes)]);
    this.#isSuspect ||= mayHoldToolList(text) || mayHoldToolList(seam);
    this.#seam = text.length >= seamBytes ? text.subarray(-seamBytes) : seam.subarray(-seamBytes);
    if (this.#keptBytes <= mostKept) this.#kept.push(bytes);
  }

  /** An event is whole. */
  #finish(): Promise<void> | undefined {
    const event = { kept: this.#kept, held: this.#heldBack };
    const isReadable = this.#isSuspect && this.#keptBytes <= mostKept;
    this.#kept = [];
    this.#heldBack = [];
    this.#keptBytes = 0;
    this.#isSuspect = false;
    this.#seam = nothing;
    const text = isReadable ? decoder.decode(joined(event.kept)) : "";
    if (text !== "" && holdsToolList(this.#dataOf(text))) return this.#judge(event, text);
    if (this.#watching.ended !== undefined) this.#remember(event.kept);
    this.#pass(event.held);
    return undefined;
  }

  /** A list of tools. Where none belongs, or part of it has passed already, it ends the answer. */
  #judge(event: Event, text: string): Promise<void> | undefined {
    const { screen } = this.#watching;
    if (screen === undefined || event.held.length !== event.kept.length) {
      this.#refuse(undefined);
      return undefined;
    }
    return this.#screen(event, text, screen);
  }

  async #screen(
    event: Event,
    text: string,
    screen: NonNullable<Watching["screen"]>,
  ): Promise<void> {
    this.flow?.pause();
    const changed = await screen(this.#dataOf(text));
    if (this.#isOver) return;
    if (changed === undefined) this.#pass(event.held);
    else this.#pass([encoder.encode(this.#withData(text, changed))]);
    this.flow?.resume();
  }

  /** Comments are not messages. */
  #remember(kept: readonly Uint8Array[]): void {
    const [first] = kept;
    if (first === undefined || first[0] === colon) return;
    let bytes = 0;
    const upTo = kept.findIndex((piece) => (bytes += piece.length) >= mostTold);
    this.#last = upTo === -1 ? kept : kept.slice(0, upTo + 1);
  }

  #lastMessage(): string {
    return this.#dataOf(decoder.decode(joined(this.#last).subarray(0, mostTold)));
  }

  #dataOf(event: string): string {
    if (this.#cutter === undefined) return event;
    const lines = event.split(/\r\n|\n|\r/);
    return lines
      .filter((line) => line.startsWith("data:"))
      .map((line) => line.slice(line.startsWith("data: ") ? 6 : 5))
      .join("\n");
  }

  #withData(event: string, data: string): string {
    if (this.#cutter === undefined) return data;
    const lines = event
      .split(/\r\n|\n|\r/)
      .filter((line) => line !== "" && !line.startsWith("data:"));
    return `${[...lines, `data: ${data}`].join("\n")}\n\n`;
  }

  #pass(pieces: readonly Uint8Array<ArrayBuffer>[]): void {
    for (const bytes of pieces) this.#sink.chunk(bytes);
  }

  #refuse(error: Error | undefined): void {
    this.#isOver = true;
    this.flow?.cancel();
    try {
      this.#sink.fail(error ?? new Failure("upstream_invalid"));
    } catch {
      // Its reader is gone already.
    }
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}
