import { Failure } from "#src/failure.ts";

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket, colon, comma] = [
  0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x3a, 0x2c,
];

/** No argument of a tool needs more, and readers behind us need not bear it. */
const deepest = 200;

/** The keys that an object has so far; most have one or few. */
type Level = { readonly isObject: boolean; first?: string; others?: Set<string> };

/**
 * Refuses valid JSON in which an object names a key twice, however it is escaped: parsers disagree about which
 * one counts, and what we judge, or a person allows, could be something else than what the upstream does.
 * Failures: `message_invalid`, also for what is nested too deeply.
 */
export function checkKeys(json: string): void {
  const levels: Level[] = [];
  let isKeyNext = false;
  for (let at = 0; at < json.length; at += 1) {
    const character = json.charCodeAt(at);
    if (character === quote) {
      const start = at;
      at = endOfText(json, start);
      addKey(isKeyNext ? levels.at(-1) : undefined, json, { start, end: at + 1 });
    } else if (changesLevel.has(character)) {
      enterOrLeave(levels, character);
      isKeyNext = character === openBrace;
    } else if (character === comma || character === colon) {
      isKeyNext = character === comma && levels.at(-1)?.isObject === true;
    }
  }
}

const changesLevel = new Set([openBrace, closeBrace, openBracket, closeBracket]);

function enterOrLeave(levels: Level[], character: number): void {
  if (character === closeBrace || character === closeBracket) {
    levels.pop();
    return;
  }
  if (levels.length >= deepest) throw new Failure("message_invalid", "It is nested too deeply");
  levels.push({ isObject: character === openBrace });
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

/** A text where no level is given is none of a key. */
function addKey(
  level: Level | undefined,
  json: string,
  { start, end }: { readonly start: number; readonly end: number },
): void {
  if (level === undefined) return;
  const written = json.slice(start, end);
  const key = written.includes("\\") ? String(JSON.parse(written)) : written.slice(1, -1);
  if (key === level.first || level.others?.has(key) === true) {
    throw new Failure("message_invalid", "A key stands twice in one object of the request body");
  }
  if (level.first === undefined) level.first = key;
  else (level.others ??= new Set()).add(key);
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
export function folded(key: string): string {
  return key.toLowerCase().replaceAll("\u017f", "s").replaceAll("\u212a", "k");
}
