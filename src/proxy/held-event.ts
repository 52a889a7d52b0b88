import type { Failure } from "#src/failure.ts";
import { unreadable } from "./answer-faults.ts";
import { AnswerRoom, listTooBig, mostListBytes, noRoom } from "./answer-room.ts";
import { ByteBuffer, viewOf } from "./sse.ts";
import { mayHoldToolList, mostTold, seamBytes } from "./inspection.ts";

/** Beyond that an event is not held back any more, unless it may hold a list of tools. */
export const mostHeld = 1024 * 1024;
const nothing = new Uint8Array(0);

/** Memory for events that are to come, of all streams: a quiet one needs none. */
const spares: ByteBuffer[] = [];
const mostSpares = 16;

function takeSpare(): ByteBuffer {
  return spares.pop() ?? new ByteBuffer();
}

function giveBack(kept: ByteBuffer): void {
  kept.clear();
  if (spares.length < mostSpares) spares.push(kept);
}

/** An event that is under way: what of it has come, as far as it is held back. */
export class HeldEvent {
  /** Also what is not kept any more. */
  size = 0;
  /** How much of it has been passed on. */
  passed = 0;
  isSuspect = false;
  readonly #caller: string;
  #kept: ByteBuffer | undefined;
  /** All of it, where it came in one piece: that is not copied. */
  #only: Uint8Array<ArrayBuffer> | undefined;
  #seam: Uint8Array = nothing;
  #room: AnswerRoom | undefined;
  /** What of it is not kept, if anything. */
  #lacks: (() => Failure) | undefined;

  constructor(caller: string) {
    this.#caller = caller;
  }

  /** A view of what is held. */
  get held(): Uint8Array<ArrayBuffer> {
    return this.#only ?? this.#kept?.view() ?? nothing;
  }

  /**
   * Takes a piece of it. `isEnd`: it is the last one.
   * Failures: `upstream_invalid` for what could not be judged, `busy` when too much is held back already.
   */
  keep(bytes: Uint8Array<ArrayBuffer>, isEnd: boolean): void {
    const isAll = isEnd && this.size === 0;
    this.size += bytes.length;
    this.#suspect(viewOf(bytes), isAll);
    if (bytes.includes(0)) throw unreadable("a NUL in JSON");
    if (this.size > mostListBytes) this.#lacks ??= listTooBig;
    else if (this.#lacks === undefined && !this.#hasRoomFor(bytes)) this.#lacks = noRoom;
    if (this.#lacks === undefined) this.#hold(bytes, isAll);
    // What cannot be a list, as far as it has come, need not be kept.
    else if (this.isSuspect) throw this.#lacks();
  }

  #hold(bytes: Uint8Array<ArrayBuffer>, isAll: boolean): void {
    if (isAll) this.#only = bytes;
    else (this.#kept ??= takeSpare()).add(bytes);
  }

  #suspect(text: Buffer, isAll: boolean): void {
    this.isSuspect ||= mayHoldToolList(text);
    if (isAll) return;
    const seam = Buffer.concat([this.#seam, text.subarray(0, seamBytes)]);
    this.isSuspect ||= mayHoldToolList(seam);
    this.#seam = text.length >= seamBytes ? text.subarray(-seamBytes) : seam.subarray(-seamBytes);
  }

  /** What can not be judged whole any more need not be held; its beginning is for whoever is told of the answer. */
  lighten(): void {
    const kept = this.#kept;
    if (this.#lacks === undefined || kept === undefined || kept.length <= mostTold) return;
    kept.cut(mostTold);
    this.#room?.leave();
  }

  #hasRoomFor(bytes: Uint8Array): boolean {
    if (this.size <= mostHeld) return true;
    this.#room ??= new AnswerRoom(this.#caller);
    return this.#room.hasGrown(bytes.length);
  }

  /** It holds nothing any more; the memory that it was held in is for another. */
  leave(): void {
    this.#room?.leave();
    if (this.#kept !== undefined) giveBack(this.#kept);
    this.#kept = undefined;
    this.#only = undefined;
  }
}
