import { randomBytes } from "node:crypto";

/** A UUIDv7 (RFC 9562 section 5.7): sorts by the time it was made. */
export function newId(now: Date): string {
  const bytes = sixteenRandomBytes();
  bytes.writeUIntBE(now.getTime(), 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) % 16);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) % 64);
  const hex = bytes.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

let pool = Buffer.alloc(0);
const poolBytes = 16 * 256;

/** Sixteen random bytes that nobody else gets; asking for many at once costs little more than for one. */
function sixteenRandomBytes(): Buffer {
  if (pool.length === 0) pool = randomBytes(poolBytes);
  const bytes = pool.subarray(0, 16);
  pool = pool.subarray(16);
  return bytes;
}

/** A text as an id that PostgreSQL takes; undefined when it is none. */
export function readId(text: string | null | undefined): string | undefined {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text ?? "") ? (text ?? "") : undefined;
}
