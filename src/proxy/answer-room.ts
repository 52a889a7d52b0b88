import { Failure } from "#src/failure.ts";

const mebibyte = 1024 * 1024;

/** So much of an answer that holds, or may hold, a list of tools is read: it is judged whole. Documented in docs/guards.md. */
export const mostListBytes = 16 * mebibyte;
/**
 * So much of answers this process holds back and judges at the same time, of all callers. The first MiB of each event
 * is not counted; the memory around the bytes, twice as much at worst, is not either.
 */
const mostInAll = 256 * mebibyte;

/** Of one caller: so that none can take all of it. */
const mostOfOne = 64 * mebibyte;

let inAll = 0;
const ofCaller = new Map<string, number>();

/** A list of tools beyond the limit. */
export function listTooBig(): Failure {
  const message = `The MCP server's list of tools is larger than ${mostListBytes / mebibyte} MiB, and cannot be judged.`;
  return new Failure("upstream_invalid", message, { reason: "a list of tools beyond the limit" });
}

/** What is held back of all answers leaves none for another; this one's call had gone out. */
export function noRoom(): Failure {
  return new Failure("busy", undefined, { retryAfterSeconds: 5, isSent: true });
}

/** What all answers of this process hold, in bytes. */
export function heldInAll(): number {
  return inAll;
}

/** What is held back of one answer. */
export class AnswerRoom {
  #bytes = 0;
  readonly #caller: string;

  constructor(caller: string) {
    this.#caller = caller;
  }

  /** Failures: `busy` when there is no room. */
  grow(bytes: number): void {
    if (!this.hasGrown(bytes)) throw noRoom();
  }

  /** False, and nothing has changed, when there is no room. */
  hasGrown(bytes: number): boolean {
    const others = ofCaller.get(this.#caller) ?? 0;
    if (inAll + bytes > mostInAll || others + bytes > mostOfOne) return false;
    this.#add(bytes);
    return true;
  }

  leave(): void {
    if (this.#bytes > 0) this.#add(-this.#bytes);
  }

  #add(bytes: number): void {
    const held = (ofCaller.get(this.#caller) ?? 0) + bytes;
    if (held > 0) ofCaller.set(this.#caller, held);
    else ofCaller.delete(this.#caller);
    inAll += bytes;
    this.#bytes += bytes;
  }
}
