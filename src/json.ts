import { Failure } from "#src/failure.ts";

/*
 * JSON that others have written: whether it is worth reading (`scanJson`), what it is, and how it is written when the
 * same value has to be the same text (`canonicalJson`).
 */

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

/** A JSON object (not null, not an array). */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object that a JSON text is; undefined when it is anything else. */
export function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket, colon, comma] = [
  0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x3a, 0x2c,
];

/** What costs more to read than its bytes are worth. */
type JsonBounds = {
  /** Arrays and objects inside each other. */
  readonly depth: number;
  /** Members of objects and elements of arrays, in all. */
  readonly values: number;
  /** Characters of a number. */
  readonly digits: number;
};

/**
 * Of a message of a client: fifty messages of four hundred values each. A text counts as one value, however long it
 * is. Documented in docs/guards.md.
 */
const messageBounds: JsonBounds = { depth: 200, values: 20_000, digits: 1000 };

/** Of an answer that holds a list of tools: a hundred values for each of the two thousand that are kept. */
export const listBounds: JsonBounds = { depth: 200, values: 200_000, digits: 1000 };

/**
 * Refuses, before anything is made of it, JSON beyond the bounds, and JSON in which an object names a key twice,
 * however it is escaped: parsers disagree about which one counts, and what we judge, or a person allows, could be
 * something else than what the upstream does. One pass, which ends where a bound is met.
 * Returns the text of the object that is `member`, where it is more than half of the whole and `canonicalJson` would
 * surely write the same; undefined otherwise.
 * Failures: `message_invalid`; `body_unreadable` for a key that is no JSON. Other text that is no JSON passes.
 */
export function scanJson(
  json: string,
  { bounds = messageBounds, member }: ScanOptions = {},
): string | undefined {
  const scan = new Scan(json, bounds, member);
  for (let at = 0; at < json.length; at += 1) at = scan.take(at);
  return scan.canonical;
}

type ScanOptions = { readonly bounds?: JsonBounds; readonly member?: MemberPath };
/** A member of a member of an object. */
type MemberPath = readonly [outer: string, inner: string];

/** An object of so many keys looks them up; in a smaller one they are compared. */
const fewKeys = 8;

/** What a scan knows at a place of a text. */
class Scan {
  readonly #json: string;
  readonly #bounds: JsonBounds;
  /** Of each level, where its keys begin among all; negative for an array. */
  readonly #starts: number[] = [];
  /** The keys of every object that is open. */
  readonly #keys: string[] = [];
  /** The same of objects with many, by level. */
  #many: Map<number, Set<string>> | undefined;
  #isKeyNext = false;
  #values = 0;
  readonly #member: MemberPath | undefined;
  /** Where the member begins; negative before it was met. */
  #memberStart = -1;
  /** Nothing since then is written otherwise than `canonicalJson` does it. */
  #isCanonical = false;
  /** Its text, if so. */
  canonical: string | undefined;

  constructor(json: string, bounds: JsonBounds, member: MemberPath | undefined) {
    this.#json = json;
    this.#bounds = bounds;
    this.#member = member;
  }

  /** Takes what begins at a place; returns where its last character is. */
  take(at: number): number {
    const character = this.#json.charCodeAt(at);
    switch (character) {
      case quote:
        return this.#text(at);
      case comma:
        this.#isKeyNext = (this.#starts.at(-1) ?? -1) >= 0;
        this.#count();
        return at;
      case colon:
        this.#isKeyNext = false;
        return at;
      case openBrace:
      case openBracket:
        this.#enter(at, character === openBrace);
        return at;
      case closeBrace:
      case closeBracket:
        this.#leave(at);
        return at;
    }
    return startsNumber(character) ? this.#number(at) : this.#other(at, character);
  }

  /** A letter of `true`, `false` or `null`, or a blank. */
  #other(at: number, character: number): number {
    if (character <= blank) this.#isCanonical = false;
    return at;
  }

  #number(start: number): number {
    const end = endOfNumber(this.#json, start, this.#bounds.digits);
    if (this.#isCanonical) this.#isCanonical = isPlainInteger(this.#json, start, end);
    return end;
  }

  #enter(at: number, hasKeys: boolean): void {
    if (this.#starts.length >= this.#bounds.depth) throw tooMuch("It is nested too deeply");
    if (hasKeys && this.#isMember()) {
      this.#memberStart = at;
      this.#isCanonical = true;
    }
    this.#starts.push(hasKeys ? this.#keys.length : -1);
    this.#isKeyNext = hasKeys;
    // The first value in it; an empty one counts too.
    this.#count();
  }

  #leave(at: number): void {
    const start = this.#starts.pop() ?? -1;
    if (start >= 0) this.#keys.length = start;
    this.#many?.delete(this.#starts.length);
    this.#isKeyNext = false;
    if (this.#isCanonical && this.#starts.length === 2) this.#end(at);
  }

  /** What begins here is the member. Where an object has many keys, nobody knows which was the last. */
  #isMember(): boolean {
    const [first, second, third] = this.#starts;
    if (first !== 0 || second === undefined || second < 1 || third !== undefined) return false;
    const isNamed = (index: 0 | 1, at: number) => this.#keys[at] === this.#member?.[index];
    if (this.#many !== undefined || this.#memberStart >= 0) return false;
    return isNamed(0, second - 1) && isNamed(1, this.#keys.length - 1);
  }

  #end(at: number): void {
    this.#isCanonical = false;
    const text = this.#json.slice(this.#memberStart, at + 1);
    // A piece keeps all of the message alive; what is escaped could be written in another way.
    const isMost = 2 * text.length >= this.#json.length;
    if (isMost && !text.includes("\\")) this.canonical = text;
  }

  #text(start: number): number {
    const end = endOfText(this.#json, start);
    const keysFrom = this.#isKeyNext ? (this.#starts.at(-1) ?? -1) : -1;
    if (keysFrom >= 0) this.#addKey(keyAt(this.#json, start, end), keysFrom);
    return end;
  }

  #addKey(key: string, from: number): void {
    const keys = this.#keys;
    const level = this.#starts.length - 1;
    const many = this.#many?.get(level);
    const isTwice = many === undefined ? keys.includes(key, from) : many.has(key);
    if (isTwice) {
      throw new Failure("message_invalid", "A key is duplicated in one object of the request body");
    }
    if (many !== undefined) {
      many.add(key);
      return;
    }
    if (keys.length > from && key < (keys.at(-1) ?? "")) this.#isCanonical = false;
    keys.push(key);
    if (keys.length - from > fewKeys) {
      (this.#many ??= new Map()).set(level, new Set(keys.slice(from)));
      this.#isCanonical = false;
    }
  }

  #count(): void {
    this.#values += 1;
    const { values } = this.#bounds;
    if (this.#values > values) throw tooMuch(`It holds more than ${values} values`);
  }
}

function tooMuch(what: string): Failure {
  return new Failure("message_invalid", `${what}: send less in one message`);
}

const [zero, nine, minus, blank] = [0x30, 0x39, 0x2d, 0x20];

function startsNumber(character: number): boolean {
  return character === minus || (character >= zero && character <= nine);
}

/** The last character of the number that begins at `start`. */
function endOfNumber(json: string, start: number, most: number): number {
  let end = start + 1;
  while (isInNumber(json.charCodeAt(end))) {
    end += 1;
    if (end - start > most) throw tooMuch(`A number has more than ${most} digits`);
  }
  return end - 1;
}

/** Written in the one way there is: up to fifteen digits, no fraction, no exponent, and not `-0`. */
function isPlainInteger(json: string, start: number, end: number): boolean {
  const isNegative = json.charCodeAt(start) === minus;
  const first = isNegative ? start + 1 : start;
  if (first > end || end - first >= surelyExactDigits) return false;
  if (isNegative && json.charCodeAt(first) === zero) return false;
  for (let at = first; at <= end; at += 1) {
    const digit = json.charCodeAt(at);
    if (digit < zero || digit > nine) return false;
  }
  return true;
}

/** Digits, and what else a number may hold: + - . E e */
function isInNumber(character: number): boolean {
  return (
    (character >= zero && character <= nine) ||
    (character | 0x20) === 0x65 ||
    character === 0x2e ||
    character === minus ||
    character === 0x2b
  );
}

/** Most texts are keys and names: looking at so many characters costs less than a search. */
const nearby = 24;

/** Where the text that begins at `start` ends. */
function endOfText(json: string, start: number): number {
  for (let at = start + 1; at <= start + nearby; at += 1) {
    const character = json.charCodeAt(at);
    if (character === quote) return at;
    if (character === backslash) break;
  }
  let end = json.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end === -1 ? json.length : end;
}

function isEscaped(json: string, at: number): boolean {
  let before = at - 1;
  while (json.charCodeAt(before) === backslash) before -= 1;
  return (at - before) % 2 === 0;
}

/** Keys that nearly every message has: no text is made for one of them. By their length. */
const usual: string[][] = [];
for (const key of "id name text _meta method params result jsonrpc arguments".split(" ")) {
  (usual[key.length] ??= []).push(key);
}

/** The key that stands between two quotes, as it is read. */
function keyAt(json: string, start: number, end: number): string {
  for (const key of usual[end - start - 1] ?? none) if (json.startsWith(key, start + 1)) return key;
  const written = json.slice(start + 1, end);
  return written.includes("\\") ? keyIn(json.slice(start, end + 1)) : written;
}

const none: readonly never[] = [];

function keyIn(written: string): string {
  try {
    return String(JSON.parse(written));
  } catch {
    throw new Failure("body_unreadable");
  }
}

/**
 * Whether an object has a key that is one of `names` but for its case: some readers take it for the same one
 * (Go's encoding/json), others do not.
 */
export function hasLookalike(
  object: Readonly<Record<string, unknown>>,
  names: ReadonlySet<string>,
): boolean {
  for (const key in object) {
    if (!names.has(key) && Object.hasOwn(object, key) && lowerCase(names).has(folded(key))) {
      return true;
    }
  }
  return false;
}

const lowered = new WeakMap<ReadonlySet<string>, ReadonlySet<string>>();

function lowerCase(names: ReadonlySet<string>): ReadonlySet<string> {
  const known = lowered.get(names) ?? new Set([...names].map(folded));
  lowered.set(names, known);
  return known;
}

/** Lower case, with the two other letters that fold to ASCII ones (ſ and the Kelvin sign). */
export function folded(key: string): string {
  return key.toLowerCase().replaceAll("\u017f", "s").replaceAll("\u212a", "k");
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

/** Where the first and the last digit stand that are no zero. */
function significant(digits: string): { readonly first: number; readonly last: number } {
  let [first, last] = [0, digits.length - 1];
  while (first <= last && digits.charCodeAt(first) === zero) first += 1;
  while (last > first && digits.charCodeAt(last) === zero) last -= 1;
  return { first, last };
}
