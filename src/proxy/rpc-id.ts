import { isObject } from "#src/json.ts";

/** Of a request; null where it has none, or several. */
export type RpcId = string | number | RawNumber | null;

/** What was sent asks for nothing (a notification, an answer of the client): no answer with an id belongs to it. */
export const nobody = Symbol("nobody");

/** Whose answer is expected; null where there is none to compare, or several. */
export type Expected = RpcId | typeof nobody;

/** A number as it was written: a double would not hold it, or would be written otherwise. */
type RawNumber = { readonly rawJSON: string };

/**
 * Whether a JSON answer names another request than the one it should answer: one that was late, and belongs to whoever
 * had the connection before. What names none passes, and so does an error for `null`, or with a status of 400 and more
 * for a placeholder (`"server-error"` of the Python SDK).
 */
export function answersAnother(body: Buffer, id: Expected, status = 200): boolean {
  if (id === null || (id !== nobody && names(body, id))) return false;
  const text = body.toString("utf8");
  if (/^\s*\[/.test(text)) return someAnswersAnother(text, id);
  const named = topLevelId(text);
  const wanted = plain(id);
  if (named === undefined || named.value === null || named.value === wanted) return false;
  return status < 400 || typeof named.value === typeof wanted;
}

/** A batch: no answer to a single request, but some clients would read it. */
function someAnswersAnother(text: string, id: Expected): boolean {
  try {
    const messages: unknown = JSON.parse(text);
    if (!Array.isArray(messages)) return false;
    const wanted = plain(id);
    const named = messages.filter(isAnswer).map((each) => each["id"] ?? wanted);
    return named.some((each) => each !== wanted);
  } catch {
    return false;
  }
}

/**
 * The same of one message of a stream, where the server asks and tells things too: these have a method, and neither
 * result nor error.
 */
export function tellsAnother(message: Buffer, id: Expected, status: number): boolean {
  if (id === null || (id !== nobody && names(message, id))) return false;
  try {
    const said: unknown = JSON.parse(message.toString("utf8"));
    if (!Array.isArray(said) && !isAnswer(said)) return false;
  } catch {
    // Of what is cut off, or no JSON to us, a reader may still make something.
    if (!message.includes('"result"') && !message.includes('"error"')) return false;
  }
  return answersAnother(message, id, status);
}

function isAnswer(message: unknown): message is Readonly<Record<string, unknown>> {
  return isObject(message) && (Object.hasOwn(message, "result") || Object.hasOwn(message, "error"));
}

/** The answer without its id, which is another one each time; undefined when it names another, or none. */
export function withoutId(answer: Buffer, id: RpcId): Buffer | undefined {
  const [first, last] = writtenAs(id);
  if (beginsWith(answer, first)) return answer.subarray(Buffer.byteLength(first));
  if (endsWith(answer, last)) return answer.subarray(0, -Buffer.byteLength(last));
  const text = answer.toString();
  const named = topLevelId(text);
  if (named === undefined || named.value !== plain(id)) return undefined;
  return Buffer.from(text.slice(0, named.start) + text.slice(named.end));
}

/** As JavaScript has it: a server may have written a number anew. */
function plain(id: Expected): string | number | null | typeof nobody {
  if (id === nobody) return id;
  return typeof id === "string" || id === null ? id : Number(JSON.stringify(id));
}

/** A message's id that is a number, for the answer to it. */
export function asWritten(id: number, text: string): number | RawNumber {
  const written = String(id);
  // As nearly every client writes it: nothing more is looked at.
  if (text.includes(`"id":${written},`) || text.endsWith(`"id":${written}}`)) return id;
  const named = topLevelId(text);
  if (named === undefined) return id;
  const source = text.slice(named.start, named.end).replace(/^\s*:\s*/, "");
  return source === written ? id : JSON.rawJSON(source);
}

/** As nearly every server writes it, first or last: found before anything is decoded. */
function names(body: Buffer, id: RpcId): boolean {
  const [first, last] = writtenAs(id);
  return beginsWith(body, first) || endsWith(body, last);
}

function beginsWith(body: Buffer, text: string): boolean {
  return standsAt(body, 0, text);
}

function endsWith(body: Buffer, text: string): boolean {
  return standsAt(body, body.length - Buffer.byteLength(text), text);
}

/** Whether a text stands at a place of these bytes. */
export function standsAt(body: Buffer, start: number, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return body.toString("utf8", start, start + Buffer.byteLength(text)) === text;
    if (body[start + index] !== code) return false;
  }
  return true;
}

type WrittenId = readonly [first: string, last: string];
let lastWritten: { readonly id: RpcId; readonly texts: WrittenId } | undefined;

/** An answer is looked at twice. */
function writtenAs(id: RpcId): WrittenId {
  if (lastWritten?.id === id) return lastWritten.texts;
  const text = JSON.stringify(id);
  const texts = [`{"jsonrpc":"2.0","id":${text},`, `,"id":${text}}`] as const;
  lastWritten = { id, texts };
  return texts;
}

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = [
  0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d,
];
const member = /\s*:\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|null)?/y;

/** No id, but something in its place. */
const cannotTell = Symbol("cannotTell");

type Named = { readonly value: unknown; readonly start: number; readonly end: number };

/** The `id` of the outermost object, and where it stands; undefined where it has none. One pass. */
function topLevelId(text: string): Named | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === openBrace || character === openBracket) depth += 1;
    else if (character === closeBrace || character === closeBracket) depth -= 1;
    if (character !== quote) continue;
    const end = textEnd(text, at);
    const found =
      depth === 1 && isId(text.slice(at, Math.min(end, at + 20))) ? valueAt(text, end) : undefined;
    if (found !== undefined) return found;
    at = end - 1;
  }
  return undefined;
}

/** Also where its letters are escaped. */
function isId(written: string): boolean {
  return written === '"id"' || (written.includes("\\u") && parsed(written) === "id");
}

/** Behind the closing quote of the text that begins at `start`. */
function textEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== quote) {
    at += text.charCodeAt(at) === backslash ? 2 : 1;
  }
  return at + 1;
}

/** Undefined where no member begins: the text was a value. */
function valueAt(text: string, start: number): Named | undefined {
  member.lastIndex = start;
  const [whole, written] = member.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const value = written === undefined ? cannotTell : parsed(written);
  return { value, start, end: start + whole.length };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return cannotTell;
  }
}
