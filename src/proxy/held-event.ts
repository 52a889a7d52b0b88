import type { Failure } from "#src/failure.ts";
import { unreadable } from "./answer-faults.ts";
import { type AnswerRoom, listTooBig, mostListBytes, noRoom } from "./answer-room.ts";
import { ByteBuffer } from "./sse.ts";
import { mayHoldToolList, mostTold, seamBytes } from "./inspection.ts";

/** Beyond that an event is not held back any more, unless it may hold a list of tools. */
export const mostHeld = 1024 * 1024;
const nothing = new Uint8Array(0);

/** The same bytes, not a copy. */
export function viewOf(bytes: Uint8Array<ArrayBuffer>): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Memory for events that are to come, of all streams: a quiet one needs none. */
const spares: ByteBuffer[] = [];
const mostSpares = 16;

function takeSpare(): ByteBuffer {
  return spares.pop() ?? new ByteBuffer();
}

export function giveBack(kept: ByteBuffer): void {
  kept.clear();
  if (spares.length < mostSpares) spares.push(kept);
}

/** An event that is under way: what of it has come, as far as it is held back. */
export class HeldEvent {
  #kept: ByteBuffer | undefined;
  /** Also what is not kept any more. */
  size = 0;
  /** How much of it has been passed on. */
  passed = 0;
  isSuspect = false;
  seam: Uint8Array = nothing;
  room: AnswerRoom;
  /** What of it is not kept, if anything. */
  #lacks: (() => Failure) | undefined;

  constructor(room: AnswerRoom) {
    this.room = room;
  }

  get kept(): ByteBuffer {
    return (this.#kept ??= takeSpare());
  }

  /** Failures: `upstream_invalid` for what could not be judged, `busy` when too much is held back already. */
  keep(bytes: Uint8Array<ArrayBuffer>): void {
    this.size += bytes.length;
    this.#suspect(viewOf(bytes));
    if (bytes.includes(0)) throw unreadable("a NUL in JSON");
    if (this.size > mostListBytes) this.#lacks ??= listTooBig;
    else if (this.#lacks === undefined && !this.#hasRoomFor(bytes)) this.#lacks = noRoom;
    if (this.#lacks === undefined) this.kept.add(bytes);
    // What cannot be a list, as far as it has come, need not be kept.
    else if (this.isSuspect) throw this.#lacks();
  }

  #suspect(text: Buffer): void {
    const seam = Buffer.concat([this.seam, text.subarray(0, seamBytes)]);
    this.isSuspect ||= mayHoldToolList(text) || mayHoldToolList(seam);
    this.seam = text.length >= seamBytes ? text.subarray(-seamBytes) : seam.subarray(-seamBytes);
  }

  /** What can not be judged whole any more need not be held; its beginning is for whoever is told of the answer. */
  lighten(): void {
    if (this.#lacks === undefined || this.kept.length <= mostTold) return;
    this.kept.cut(mostTold);
    this.room.leave();
  }

  #hasRoomFor(bytes: Uint8Array): boolean {
    return this.size <= mostHeld || this.room.hasGrown(bytes.length);
  }

  /** Ready for the next one. What was kept stands in the result with its room, and is another one's from now on. */
  next(): { readonly kept: ByteBuffer; readonly room: AnswerRoom } {
    const { kept, room } = this;
    this.room = room.another();
    this.#lacks = undefined;
    this.#kept = undefined;
    this.size = 0;
    this.passed = 0;
    this.isSuspect = false;
    this.seam = nothing;
    return { kept, room };
  }
}
