import { randomBytes } from "node:crypto";

/** A UUIDv7 (RFC 9562 section 5.7): sorts by the time it was made. */
export function newId(now: Date): string {
  const random = randomDigits();
  const variant = variants[Number.parseInt(random.slice(3, 4), 16) % 4] ?? "8";
  return `${timeDigits(now.getTime())}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`;
}

const variants = ["8", "9", "a", "b"];
let [lastTime, lastDigits] = [-1, ""];

/** Many are made within one millisecond. */
function timeDigits(time: number): string {
  if (time === lastTime) return lastDigits;
  const digits = time.toString(16).padStart(12, "0");
  lastTime = time;
  lastDigits = `${digits.slice(0, 8)}-${digits.slice(8)}`;
  return lastDigits;
}

const [digitsEach, poolBytes] = [20, 2560];
let pool = "";
let poolAt = 0;

/** Twenty random hexadecimal digits that nobody else gets; asking for many at once costs little more than for one. */
function randomDigits(): string {
  if (poolAt >= pool.length) {
    pool = randomBytes(poolBytes).toString("hex");
    poolAt = 0;
  }
  poolAt += digitsEach;
  return pool.slice(poolAt - digitsEach, poolAt);
}

/** A text as an id that PostgreSQL takes; undefined when it is none. */
export function readId(text: string | null | undefined): string | undefined {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text ?? "") ? (text ?? "") : undefined;
}
