import type { RpcId } from "./message.ts";

/**
 * Whether a JSON answer names another request than the one it should answer: one that was late, and belongs to whoever
 * had the connection before. What names none passes, and so does an error for `null`.
 * @param id Of the request; null where there is none to compare, or several.
 */
export function answersAnother(body: Buffer, id: RpcId): boolean {
  if (id === null || names(body, JSON.stringify(id))) return false;
  const named = topLevelId(body.toString("utf8"));
  return named !== undefined && named !== null && named !== id;
}

/** Found by the runtime in nearly every answer, before anything is decoded. */
function names(body: Buffer, id: string): boolean {
  const written = `"id":${id}`;
  const at = body.indexOf(written);
  if (at === -1) return false;
  const behind = body[at + Buffer.byteLength(written)] ?? 0;
  return behind === comma || behind === closeBrace;
}

const comma = 0x2c;
const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = [
  0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d,
];
const member = /\s*:\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|null)/y;

/** The `id` of the outermost object; undefined where it has none that could be read. One pass. */
function topLevelId(text: string): unknown {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === openBrace || character === openBracket) depth += 1;
    else if (character === closeBrace || character === closeBracket) depth -= 1;
    if (character !== quote) continue;
    const end = textEnd(text, at);
    const value = depth === 1 && text.slice(at, end) === '"id"' ? valueAt(text, end) : undefined;
    if (value !== undefined) return value;
    at = end - 1;
  }
  return undefined;
}

/** Behind the closing quote of the text that begins at `start`. */
function textEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== quote) {
    at += text.charCodeAt(at) === backslash ? 2 : 1;
  }
  return at + 1;
}

function valueAt(text: string, at: number): unknown {
  member.lastIndex = at;
  const written = member.exec(text)?.[1];
  try {
    return written === undefined ? undefined : JSON.parse(written);
  } catch {
    return undefined;
  }
}
