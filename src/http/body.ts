import { Failure } from "#src/failure.ts";
import { withinAbout } from "#src/clock.ts";
import type { Incoming, Sink } from "./exchange.ts";

/*
 * Bodies within bounds of bytes and time: of a request, of the beginning of an answer, and of all requests under way.
 */

const longestMs = 30_000;

/** From so many bytes on a body is looked at before it is read, and counted as it comes. */
export const bigBytes = 64 * 1024;

/** The value of a promise that is fulfilled already, where the runtime tells; the promise otherwise. */
export type Settled = <T>(promise: Promise<T>) => T | Promise<T>;

/** What reading a body may be told. */
export type Reading = {
  /** Told of bytes before they are read; what it throws ends the reading. */
  readonly room?: Pick<BodyPlace, "grow">;
  /** A small body that is there already is not waited for. */
  readonly settled?: Settled;
};

/**
 * A request's body, read whole within 30 seconds. What announces a small length is read in one go; what is big is
 * counted as it comes, since what was announced need not come, and so is what announces none, because not every
 * runtime bounds it.
 * Failures: `body_too_large`, `body_unreadable` when the client breaks off or drips.
 */
export function readBounded(
  request: Request,
  mostBytes: number,
  { room = noRoom, settled = asItIs }: Reading = nothingSaid,
): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
  const announced = Number(request.headers.get("content-length") ?? Number.NaN);
  if (announced > mostBytes) throw tooLarge();
  if (!(announced < bigBytes)) return inTime(gather(request.body, mostBytes, tooLarge, room));
  room.grow(announced);
  const body = settled<Uint8Array<ArrayBuffer>>(request.bytes());
  return body instanceof Promise ? inTime(body) : body;
}

const noRoom = { grow: () => undefined };
const asItIs: Settled = (promise) => promise;
const nothingSaid: Reading = {};

async function inTime(body: Promise<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await withinAbout(longestMs, body, late);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("body_unreadable", "The request body broke off");
  }
}

const tooLarge = () => new Failure("body_too_large");
const late = () => new Failure("body_unreadable", "The request body did not arrive in time");

/** A stream's bytes, at most `mostBytes` of them; beyond that it throws what `refusal` makes. */
export async function gather(
  stream: ReadableStream<Uint8Array> | null,
  mostBytes: number,
  refusal: () => Error,
  room: Pick<BodyPlace, "grow"> = noRoom,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream ?? []) {
    size += part.length;
    if (size > mostBytes) throw refusal();
    room.grow(part.length);
    parts.push(part);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * Reads an answer until it ends, or more than `mostBytes` have come. What was read comes again when its body is opened;
 * of its head only status and type are left. Rejects with whatever the body fails with meanwhile.
 */
export async function readAhead(
  answer: Incoming,
  mostBytes: number,
): Promise<{ readonly incoming: Incoming; readonly isWhole: boolean }> {
  const { status } = answer;
  const type = answer.headers.get("content-type");
  const ahead = new Ahead(mostBytes);
  const flow = answer.flow(ahead);
  ahead.hold = () => flow.pause();
  flow.resume();
  const isWhole = await ahead.done;
  const incoming: Incoming = {
    status,
    headers: { get: (name) => (name === "content-type" ? type : null) },
    distrust: () => answer.distrust?.(),
    flow(sink) {
      let isBegun = false;
      return {
        pause: () => flow.pause(),
        cancel: () => flow.cancel(),
        resume() {
          if (!isBegun) ahead.replay(sink);
          isBegun = true;
          flow.resume();
        },
      };
    },
  };
  return { incoming, isWhole };
}

class Ahead implements Sink {
  hold: () => void = () => undefined;
  readonly #mostBytes: number;
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  readonly #done = Promise.withResolvers<boolean>();
  #size = 0;
  #sink: Sink | undefined;
  #end: "running" | "ended" | Error = "running";

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get done(): Promise<boolean> {
    return this.#done.promise;
  }

  chunk(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#sink !== undefined) return this.#sink.chunk(bytes);
    this.#parts.push(bytes);
    this.#size += bytes.length;
    if (this.#size <= this.#mostBytes) return;
    this.hold();
    this.#done.resolve(false);
  }

  end(): void {
    this.#end = "ended";
    this.#done.resolve(true);
    this.#sink?.end();
  }

  fail(error: Error): void {
    this.#end = error;
    this.#done.reject(error);
    this.#sink?.fail(error);
  }

  replay(sink: Sink): void {
    for (const part of this.#parts.splice(0)) sink.chunk(part);
    this.#sink = sink;
    if (this.#end === "ended") sink.end();
    else if (this.#end !== "running") sink.fail(this.#end);
  }
}

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
