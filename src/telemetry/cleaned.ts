import { redact } from "./redact.ts";

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
