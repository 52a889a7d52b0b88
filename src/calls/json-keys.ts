const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket, colon, comma] = [
  0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x3a, 0x2c,
];

/** Below this depth nothing is read for policy: message, params, `_meta`, and a batch around them. */
const deepest = 5;

type Level = Set<string> | undefined;

/**
 * Whether an object of valid JSON names a key twice, however it is escaped. Parsers disagree about which one
 * counts: what we judge could be something else than what the upstream does.
 */
export function hasDuplicateKeys(json: string): boolean {
  const levels: Level[] = [];
  let isKeyNext = false;
  let isTwice = false;
  for (let at = 0; at < json.length && !isTwice; at += 1) {
    const character = json.charCodeAt(at);
    if (character === quote) {
      const start = at;
      at = endOfText(json, start);
      isTwice = isKeyNext && isSeen(levels.at(-1), json.slice(start, at + 1));
    } else if (changesLevel.has(character)) {
      enterOrLeave(levels, character);
      isKeyNext = character === openBrace;
    } else if (character === comma || character === colon) {
      isKeyNext = character === comma;
    }
  }
  return isTwice;
}

const changesLevel = new Set([openBrace, closeBrace, openBracket, closeBracket]);

function enterOrLeave(levels: Level[], character: number): void {
  if (character === closeBrace || character === closeBracket) levels.pop();
  else levels.push(character === openBrace && levels.length < deepest ? new Set() : undefined);
}

/** Where the text that begins at `start` ends. */
function endOfText(json: string, start: number): number {
  let end = json.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end === -1 ? json.length : end;
}

function isEscaped(json: string, at: number): boolean {
  let before = at - 1;
  while (json.charCodeAt(before) === backslash) before -= 1;
  return (at - before) % 2 === 0;
}

function isSeen(keys: Set<string> | undefined, written: string): boolean {
  if (keys === undefined) return false;
  const key = written.includes("\\") ? String(JSON.parse(written)) : written.slice(1, -1);
  if (keys.has(key)) return true;
  keys.add(key);
  return false;
}

/**
 * Whether an object has a key that is one of `names` but for its case: some readers take it for the same one
 * (Go's encoding/json), others do not.
 */
export function hasLookalike(
  object: Readonly<Record<string, unknown>>,
  names: ReadonlySet<string>,
): boolean {
  return Object.keys(object).some((key) => !names.has(key) && lowerCase(names).has(folded(key)));
}

const lowered = new WeakMap<ReadonlySet<string>, ReadonlySet<string>>();

function lowerCase(names: ReadonlySet<string>): ReadonlySet<string> {
  const known = lowered.get(names) ?? new Set([...names].map(folded));
  lowered.set(names, known);
  return known;
}

/** Lower case, with the two other letters that fold to ASCII ones (ſ and the Kelvin sign). */
function folded(key: string): string {
  return key.toLowerCase().replaceAll("\u017f", "s").replaceAll("\u212a", "k");
}
