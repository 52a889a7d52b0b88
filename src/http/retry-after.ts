/** Nobody is believed who asks for more. */
const longestSeconds = 3600;

/**
 * Seconds that a `Retry-After` header asks for, as a number or a date (RFC 9110 section 10.2.3); an hour at most.
 * Undefined when there is none, or none that can be read.
 */
export function readRetryAfter(value: string | null | undefined, now: Date): number | undefined {
  const text = value?.trim() ?? "";
  const isNumber = /^\d{1,15}$/.test(text);
  // Date.parse also takes "1 2 3" and the like: a date of HTTP begins with its day. It is of GMT, also without the word.
  const isDate = /^[A-Za-z]{3,9},? .{10,40}$/.test(text);
  const seconds = isNumber
    ? Number(text)
    : isDate
      ? (Date.parse(text.endsWith("GMT") ? text : `${text} GMT`) - now.getTime()) / 1000
      : Number.NaN;
  if (Number.isNaN(seconds)) return undefined;
  return Math.min(Math.max(Math.ceil(seconds), 0), longestSeconds);
}
