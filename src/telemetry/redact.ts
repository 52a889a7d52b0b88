import { tokenPrefixes } from "#src/crypto/secret.ts";

/*
 * Every expression here is run on text from outside, so none may cost more than its length: no two parts that could
 * match the same characters stand beside each other, and what has to be looked at as a whole (JSON Web Tokens,
 * other encodings) is looked at run by run. `test/unit/growth.test.ts` holds that.
 */

/** How secrets begin: our own tokens, and those of the providers we know. */
const prefixes = [...Object.values(tokenPrefixes), "APP_USR-", "TG-"];

/** An address of a database, which may stand behind anything. */
export const databaseAddress = /postgres(?:ql)?:\/\/[^\s"']+/g;

/**
 * What a secret looks like wherever it turns up: also within a word, since it may stand behind the last letter of an
 * escape (`\n`, `%3D`). One expression, because every log line goes through it.
 */
const shapes = new RegExp(
  [
    "sd_[a-z]{2,4}_[\\w-]{20,}",
    "[Bb](?:earer|asic)(?: |%20)+[\\w.~+/=%-]{8,}",
    "APP_USR-[\\w-]{8,}",
    "TG-[\\w-]{8,}",
    "pat\\w{14}\\.[0-9a-f]{16,}",
    "sbp_\\w{16,}",
    "whsec_[\\w+/=-]{16,}",
  ].join("|"),
  "g",
);

/** The value of a field, parameter or header whose name says what it is; also in JSON inside JSON, and in a URL. */
const named =
  /((?:access_token|refresh_token|client_secret|api_key|code_verifier|password|[?&]code|[?&]state)\\*["']?\s*(?:[=:]|%3[ad])\s*\\*["']?)[^\s"'&,}\\]{6,}/gi;

/** Runs of letters that a token with dots, or a secret in another encoding, would be part of. */
const dottedRun = /[\w.-]{20,}/g;
const longRun = /[\w+/-]{44,}={0,2}/g;
const jwt = "eyJ";
const forms = prefixes.flatMap(encodings);

/** A prefix as hex, and as base64 wherever in a text it begins. */
function encodings(prefix: string): readonly string[] {
  const hex = Buffer.from(prefix).toString("hex");
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), Buffer.from(prefix)]).toString("base64url");
    // Characters that also hold bits of what stands before or behind it are not its own.
    const [from, to] = [
      Math.ceil((offset * 8) / 6),
      Math.floor(((offset + prefix.length) * 8) / 6),
    ];
    return text.slice(from, to);
  });
  return [...new Set([hex, hex.toUpperCase(), ...base64])];
}

/** `text` with everything that looks like a secret replaced; the last gate before any sink. Linear in its length. */
export function redact(text: string): string {
  const plain = text.includes("postgres") ? text.replace(databaseAddress, redacted) : text;
  // All are looked for in the same text: one that is replaced first would take another's beginning away.
  const found = [...matches(plain, shapes), ...jsonWebTokens(plain), ...encoded(plain)];
  return without(plain, found).replace(named, `$1${redacted}`);
}

const redacted = "[redacted]";
/** Characters of an encoded secret behind its prefix. */
const shortestEncoded = 20;

type Found = { readonly index: number; readonly found: string };

function matches(text: string, pattern: RegExp): readonly Found[] {
  return [...text.matchAll(pattern)].map(({ 0: found, index }) => ({ index, found }));
}

function encoded(text: string): readonly Found[] {
  return matches(text, longRun).filter(({ found }) => forms.some((form) => holds(found, form)));
}

/** What overlaps is one. */
function without(text: string, all: readonly Found[]): string {
  let [kept, from] = ["", 0];
  for (const { index, found } of all.toSorted((one, other) => one.index - other.index)) {
    if (index >= from) kept += text.slice(from, index) + redacted;
    from = Math.max(from, index + found.length);
  }
  return kept + text.slice(from);
}

function holds(run: string, form: string): boolean {
  const start = run.indexOf(form);
  return start !== -1 && run.length - start >= form.length + shortestEncoded;
}

/** JSON Web Tokens: from the first part to the end of a run of letters, where two dots follow. */
export function jsonWebTokens(text: string): readonly Found[] {
  if (!text.includes(jwt)) return [];
  return [...text.matchAll(dottedRun)].flatMap(({ 0: run, index }) => {
    const start = run.indexOf(jwt);
    const first = start === -1 ? -1 : run.indexOf(".", start);
    const isToken = first !== -1 && run.includes(".", first + 1);
    return isToken ? [{ index: index + start, found: run.slice(start) }] : [];
  });
}

const longestName = 200;
const known = new Map<string, string>();
/** A secret that is cut could not be known for one: more is looked at than is kept. */
const [mostKnown, mostLooked] = [1000, 2 * longestName];

/** A name that others have chosen, redacted, for the log. They are few: what came of a short text is remembered. */
export function cleaned(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (text.length > longestName) return storable(redact(copyOf(text, mostLooked)));
  const before = known.get(text);
  if (before !== undefined) return before;
  const clean = storable(redact(text)) ?? "";
  if (known.size >= mostKnown) known.clear();
  known.set(text, clean);
  return clean;
}

const isPlain = /^[\x20-\x7e]*$/;

/** The first 200 characters, without what PostgreSQL refuses: NUL, half a surrogate pair. */
export function storable(text: string | undefined): string | undefined {
  if (text === undefined || (text.length <= longestName && isPlain.test(text))) return text;
  return copyOf(text, longestName).replaceAll("\0", "");
}

/** The beginning of a text, well-formed. A part of a string keeps all of it in memory: this is none. */
function copyOf(text: string, most: number): string {
  return Buffer.from(text.slice(0, most)).toString();
}

/**
 * Text that somebody else wrote, as a person can trust it: what could turn its direction, move a cursor, look like
 * something else or cannot be seen, is shown by its code.
 */
export function plain(text: string): string {
  return text.replace(
    unplain,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

const unplain =
  /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}|(?<=\p{M}{2})\p{M}/gu;
