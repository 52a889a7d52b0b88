import { Failure } from "#src/failure.ts";
import { bigBytes } from "#src/http/body.ts";

/** How many bytes of request bodies may be under way: read, or kept until the upstream has answered. */
export type BodyRoom = {
  /** Room for one more body of this caller, which grows as it is read. */
  enter(caller: string): BodyPlace;
  /** Bytes under way, of all callers. */
  bytes(): number;
};

export type BodyPlace = {
  /** Takes room for so many more bytes. Failures: `too_many_at_once` for the caller, `busy` for all. */
  grow(bytes: number): void;
  /** Gives all of it back; a second time it does nothing. */
  leave(): void;
};

type Bounds = { readonly bodyBytesAtOnce: number; readonly bodyBytesInAll: number };

/** The bounds are SMARTDASH_BODY_MIB_AT_ONCE and SMARTDASH_BODY_MIB_IN_ALL. */
export function createBodyRoom(bounds: Bounds): BodyRoom {
  return new Room(bounds);
}

class Room implements BodyRoom {
  readonly bounds: Bounds;
  readonly #callers = new Map<string, number>();
  #all = 0;

  constructor(bounds: Bounds) {
    this.bounds = bounds;
  }

  enter(caller: string): BodyPlace {
    return new Place(this, caller);
  }

  bytes(): number {
    return this.#all;
  }

  heldBy(caller: string): number {
    return this.#callers.get(caller) ?? 0;
  }

  add(caller: string, bytes: number): void {
    const held = this.heldBy(caller) + bytes;
    if (held > 0) this.#callers.set(caller, held);
    else this.#callers.delete(caller);
    this.#all += bytes;
  }
}

class Place implements BodyPlace {
  readonly #room: Room;
  readonly #caller: string;
  #held = 0;

  constructor(room: Room, caller: string) {
    this.#room = room;
    this.#caller = caller;
  }

  grow(bytes: number): void {
    const { bodyBytesAtOnce, bodyBytesInAll } = this.#room.bounds;
    if (this.#room.heldBy(this.#caller) + bytes > bodyBytesAtOnce) {
      const message = `Requests of this agent with ${mebibytes(bodyBytesAtOnce)} are under way already. Wait for some to end before the next.`;
      throw new Failure("too_many_at_once", message, { retryAfterSeconds: 1 });
    }
    // Small ones are bounded by how many calls there may be at once.
    if (this.#held + bytes >= bigBytes && this.#room.bytes() + bytes > bodyBytesInAll) {
      const message = `This gateway has requests with ${mebibytes(bodyBytesInAll)} under way. Try again in a moment.`;
      throw new Failure("busy", message, { retryAfterSeconds: 1 });
    }
    this.#room.add(this.#caller, bytes);
    this.#held += bytes;
  }

  leave(): void {
    if (this.#held > 0) this.#room.add(this.#caller, -this.#held);
    this.#held = 0;
  }
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
