import { Failure } from "#src/failure.ts";
import { withinAbout } from "#src/once.ts";

const longestMs = 30_000;

/** From so many bytes on a body is looked at before it is read, and counted as it comes. */
export const bigBytes = 64 * 1024;

/**
 * A request's body, read whole within 30 seconds. What announces a small length is read in one go; what is big is
 * counted as it comes, since what was announced need not come, and so is what announces none, because not every
 * runtime bounds it.
 * @param grow Told of bytes before they are read; what it throws ends the reading.
 * Failures: `body_too_large`, `body_unreadable` when the client breaks off or drips.
 */
export async function readBounded(
  request: Request,
  mostBytes: number,
  grow: (bytes: number) => void = () => undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const announced = Number(request.headers.get("content-length") ?? Number.NaN);
  if (announced > mostBytes) throw tooLarge();
  const isSmall = announced < bigBytes;
  if (isSmall) grow(announced);
  const body: Promise<Uint8Array<ArrayBuffer>> = isSmall
    ? request.bytes()
    : gather(request.body, mostBytes, tooLarge, grow);
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
  grow: (bytes: number) => void = () => undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream ?? []) {
    size += part.length;
    if (size > mostBytes) throw refusal();
    grow(part.length);
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
