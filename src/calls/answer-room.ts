import { Failure } from "#src/failure.ts";

const mebibyte = 1024 * 1024;

/** So much of an answer that holds, or may hold, a list of tools is read: it is judged whole. Documented in docs/guards.md. */
export const mostListBytes = 16 * mebibyte;
/** So much of answers this process holds back at the same time, of all callers. */
const mostInAll = 256 * mebibyte;

let inAll = 0;

/** A list of tools beyond the limit. */
export function listTooBig(): Failure {
  const message = `The MCP server's list of tools is larger than ${mostListBytes / mebibyte} MiB, and cannot be judged.`;
  return new Failure("upstream_invalid", message, { reason: "a list of tools beyond the limit" });
}

/** What is held back of one answer. */
export class AnswerRoom {
  #bytes = 0;

  /** Failures: `busy` when there is no room. */
  grow(bytes: number): void {
    if (inAll + bytes > mostInAll) throw new Failure("busy", undefined, { retryAfterSeconds: 5 });
    inAll += bytes;
    this.#bytes += bytes;
  }

  leave(): void {
    inAll -= this.#bytes;
    this.#bytes = 0;
  }
}
