declare global {
  // ECMAScript has them, the types do not yet.
  interface JSON {
    parse(
      text: string,
      revive: (key: string, value: unknown, at: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): { readonly rawJSON: string };
    isRawJSON(value: unknown): boolean;
  }
}

/** Numbers stay as they were written: order numbers are longer than a double is exact. */
export function parseExactly(text: string): unknown {
  return JSON.parse(text, (_, value, { source }) =>
    typeof value === "number" && source !== undefined ? JSON.rawJSON(source) : value,
  );
}

/**
 * The same text for the same JSON value, whatever the order of its keys (in the spirit of RFC 8785). Of a value
 * that was parsed exactly, a number that a double does not hold stays as it was written.
 */
export function canonicalJson(value: unknown): string {
  if (isOrdered(value)) return JSON.stringify(value);
  if (JSON.isRawJSON(value)) return canonicalNumber(JSON.stringify(value));
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) {
    return JSON.stringify(value) ?? "null";
  }
  const members = Object.entries(value);
  if (members.length > 1) members.sort(([a], [b]) => (a < b ? -1 : 1));
  let text = "";
  for (const [key, member] of members) {
    text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(member)}`;
  }
  return `{${text}}`;
}

/** Whether an object, as most that come have it, is written like that already: nothing in it has to be sorted or kept as it was. */
function isOrdered(value: unknown): value is object {
  if (typeof value !== "object" || value === null || JSON.isRawJSON(value)) return false;
  let last = "";
  for (const key in value) {
    const member: unknown = Reflect.get(value, key);
    if (key < last || (typeof member === "object" && member !== null)) return false;
    if (member === undefined) return false;
    last = key;
  }
  return !Array.isArray(value);
}

const surelyExactDigits = 15;
const surelyExactExponent = 290;

/** Fifteen significant digits survive a double; more may not. One pass, however long it is. */
function canonicalNumber(written: string): string {
  const [mantissa = "", exponent = "0"] = written.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = whole + fraction;
  const { first, last } = significant(digits);
  if (first > last) return "0";
  const magnitude = Number(exponent) + whole.length - 1 - first;
  const isExact = last - first < surelyExactDigits && Math.abs(magnitude) < surelyExactExponent;
  return isExact ? JSON.stringify(Number(written)) : written;
}

const zero = 0x30;

/** Where the first and the last digit stand that are no zero. */
function significant(digits: string): { readonly first: number; readonly last: number } {
  let [first, last] = [0, digits.length - 1];
  while (first <= last && digits.charCodeAt(first) === zero) first += 1;
  while (last > first && digits.charCodeAt(last) === zero) last -= 1;
  return { first, last };
}
