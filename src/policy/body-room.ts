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
export function createBodyRoom({ bodyBytesAtOnce, bodyBytesInAll }: Bounds): BodyRoom {
  const callers = new Map<string, number>();
  let all = 0;
  const add = (caller: string, bytes: number) => {
    const held = (callers.get(caller) ?? 0) + bytes;
    if (held > 0) callers.set(caller, held);
    else callers.delete(caller);
    all += bytes;
  };
  return {
    bytes: () => all,
    enter(caller) {
      let held = 0;
      return {
        grow(bytes) {
          if ((callers.get(caller) ?? 0) + bytes > bodyBytesAtOnce) {
            const message = `Requests of this agent with ${mebibytes(bodyBytesAtOnce)} are under way already. Wait for some to end before the next.`;
            throw new Failure("too_many_at_once", message, { retryAfterSeconds: 1 });
          }
          // Small ones are bounded by how many calls there may be at once.
          if (held + bytes >= bigBytes && all + bytes > bodyBytesInAll) {
            const message = `This gateway has requests with ${mebibytes(bodyBytesInAll)} under way. Try again in a moment.`;
            throw new Failure("busy", message, { retryAfterSeconds: 1 });
          }
          add(caller, bytes);
          held += bytes;
        },
        leave() {
          if (held > 0) add(caller, -held);
          held = 0;
        },
      };
    },
  };
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
