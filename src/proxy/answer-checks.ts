import { isObject } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { parseExactly } from "#src/crypto/canonical-json.ts";
import { type Definitions, type ListPage, natureIn } from "#src/policy/tools/definitions.ts";
import { isAllowed } from "#src/policy/tools/rules.ts";
import type { Switches } from "#src/policy/switches.ts";
import { folded, listBounds, scanJson } from "./json-scan.ts";

/** Of a request; null where it has none, or several. */
export type RpcId = string | number | RawNumber | null;

/** A number as it was written: a double would not hold it, or would be written otherwise. */
type RawNumber = { readonly rawJSON: string };

/**
 * Whether a JSON answer names another request than the one it should answer: one that was late, and belongs to whoever
 * had the connection before. What names none passes, and so does an error for `null`, or with a status of 400 and more
 * for a placeholder (`"server-error"` of the Python SDK).
 * @param id Of the request; null where there is none to compare, or several.
 */
export function answersAnother(body: Buffer, id: RpcId, status = 200): boolean {
  if (id === null || names(body, JSON.stringify(id))) return false;
  const text = body.toString("utf8");
  if (/^\s*\[/.test(text)) return someAnswersAnother(text, id);
  const named = topLevelId(text);
  const wanted = plain(id);
  if (named === undefined || named.value === null || named.value === wanted) return false;
  return status < 400 || typeof named.value === typeof wanted;
}

/** A batch: no answer to a single request, but some clients would read it. */
function someAnswersAnother(text: string, id: RpcId): boolean {
  try {
    const messages: unknown = JSON.parse(text);
    if (!Array.isArray(messages)) return false;
    const wanted = plain(id);
    const named = messages.map((each: unknown): unknown =>
      isObject(each) ? (each["id"] ?? wanted) : wanted,
    );
    return named.some((each) => each !== wanted);
  } catch {
    return false;
  }
}

/** The answer without its id, which is another one each time; undefined when it names another, or none. */
export function withoutId(answer: Buffer, id: RpcId): Buffer | undefined {
  const [first, last] = writtenAs(JSON.stringify(id));
  if (beginsWith(answer, first)) return answer.subarray(Buffer.byteLength(first));
  if (endsWith(answer, last)) return answer.subarray(0, -Buffer.byteLength(last));
  const text = answer.toString();
  const named = topLevelId(text);
  if (named === undefined || named.value !== plain(id)) return undefined;
  return Buffer.from(text.slice(0, named.start) + text.slice(named.end));
}

/** As JavaScript has it: a server may have written a number anew. */
function plain(id: RpcId): string | number | null {
  return typeof id === "string" || id === null ? id : Number(JSON.stringify(id));
}

/** A message's id that is a number, for the answer to it. */
export function asWritten(id: number, text: string): number | RawNumber {
  const written = JSON.stringify(id);
  // As nearly every client writes it: nothing more is looked at.
  if (text.includes(`"id":${written},`) || text.endsWith(`"id":${written}}`)) return id;
  const named = topLevelId(text);
  if (named === undefined) return id;
  const source = text.slice(named.start, named.end).replace(/^\s*:\s*/, "");
  return source === written ? id : JSON.rawJSON(source);
}

/** As nearly every server writes it, first or last: found before anything is decoded. */
function names(body: Buffer, id: string): boolean {
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

const writtenAs = (id: string) => [`{"jsonrpc":"2.0","id":${id},`, `,"id":${id}}`] as const;

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

/** It answers another request than the one that waits. */
export function anothers(): Failure {
  const message =
    "The MCP server sent the answer to another request; it was not passed on. Call again.";
  return new Failure("upstream_invalid", message, { reason: "an answer to another request" });
}

/** A list of tools where none was asked for: nobody would judge it for this reader. */
export function strayList(): Failure {
  const message = "The MCP server answered with a list of tools that nobody had asked for.";
  return new Failure("upstream_invalid", message, { reason: "a list of tools" });
}

/** A list of tools that readers could understand differently, or with more in it than is looked at. */
export function unclearList(): Failure {
  const message =
    "The MCP server's list of tools is no strict JSON (a key twice, say), or has more than 200,000 values.";
  return new Failure("upstream_invalid", message, {
    reason: "a list of tools that is no strict JSON",
  });
}

/** Text in another encoding than UTF-8. */
export function unreadable(reason: string): Failure {
  return new Failure("upstream_invalid", undefined, { reason });
}

type Deps = { readonly definitions: Definitions; readonly switches: Switches };
type Owner = {
  readonly caller: Caller;
  readonly upstream: Upstream;
  /** What was asked for; `unknown` on a stream that answers whatever was asked elsewhere. */
  readonly from: ListPage["from"];
};
type Message = Readonly<Record<string, unknown>>;
type ToolList = Message & { readonly result: Message & { readonly tools: readonly unknown[] } };

/**
 * A JSON-RPC message, or a batch, as this caller may see it: lists of tools without those that are held or that
 * no policy allows it. Undefined when nothing of it has to change. What is left of a list is `private`: it must
 * not be kept for others (MCP 2026-07-28, caching).
 * Failures: `database_unavailable` when something new could not be written down.
 */
export async function screened(app: Deps, owner: Owner, json: string): Promise<string | undefined> {
  // Numbers as they stand there: what is approved is what a client reads.
  const exact: unknown = parseExactly(json);
  const messages: readonly unknown[] = Array.isArray(exact) ? exact : [exact];
  const out: unknown[] = [];
  for (const message of messages) {
    out.push(isToolList(message) ? without(message, await keptOf(app, owner, message)) : message);
  }
  const isSame = out.every((message, index) => message === messages[index]);
  if (isSame) return undefined;
  return JSON.stringify(Array.isArray(exact) ? out : out[0]);
}

/** The same message when every tool of it is kept. */
function without(message: ToolList, kept: readonly boolean[]): unknown {
  if (!kept.includes(false)) return message;
  const tools = message.result.tools.filter((_, at) => kept[at] === true);
  const scope = "cacheScope" in message.result ? { cacheScope: "private" } : {};
  return { ...message, result: { ...message.result, tools, ...scope } };
}

/** A number that was read exactly is an object too. */
function isDefinition(value: unknown): value is Message {
  return isObject(value) && !JSON.isRawJSON(value);
}

/** Which entries of a list this caller may see. */
async function keptOf(app: Deps, owner: Owner, { result }: ToolList): Promise<boolean[]> {
  const { upstream } = owner;
  const shown = result.tools.filter(isDefinition);
  const { nextCursor } = result;
  const next = typeof nextCursor === "string" && nextCursor !== "" ? nextCursor : undefined;
  const judged = await app.definitions.judge(upstream, shown, { from: owner.from, next });
  const may = new Map(shown.map((definition, index) => [definition, judged[index] === true]));
  return result.tools.map((tool) => {
    if (!isDefinition(tool) || may.get(tool) !== true) return false;
    const { name } = tool;
    if (typeof name !== "string" || app.switches.isOff(`tool:${upstream.name}/${name}`))
      return false;
    return isAllowed(owner, name, natureIn(tool));
  });
}

/**
 * Whether this text is, or holds, a list of tools. `unclear` is what one reader takes for one and another does not:
 * JSON that is not strict, a key twice, a key in other case. Cheap where it cannot be one.
 */
export function listIn(text: string): "none" | "list" | "unclear" {
  if (!mayHoldToolList(Buffer.from(text))) return "none";
  let messages: readonly unknown[];
  try {
    scanJson(text, listBounds);
    const value: unknown = JSON.parse(text);
    messages = Array.isArray(value) ? value : [value];
  } catch {
    return "unclear";
  }
  if (messages.some(isReadTwice)) return "unclear";
  return messages.some(isToolList) ? "list" : "none";
}

/** As many bytes can a sign of a list be split over two chunks. */
export const seamBytes = 8;

/** The key `tools` in any case, with the long s that folds to its last letter, or a letter of it escaped. */
const sign = /"tool(?:s|\u00c5\u00bf)"|\\u00(?:[57][34]|[46][fc])|\\u017f/i;

const [quoteByte, longestKey, quickBytes] = [0x22, 8, 16 * 1024];

/** Whether a key `tools` may be in it, however it is written. Nobody escapes letters who has nothing to hide. */
export function mayHoldToolList(bytes: Buffer): boolean {
  if (bytes.length <= quickBytes) return sign.test(bytes.toString("latin1"));
  // Without a copy: streams of half a gigabyte pass here.
  if (bytes.includes("\\u00") || bytes.includes("\\u01")) {
    return sign.test(bytes.toString("latin1"));
  }
  for (let at = bytes.indexOf(quoteByte); at !== -1; at = bytes.indexOf(quoteByte, at + 1)) {
    const isLikeT = ((bytes[at + 1] ?? 0) | 0x20) === 0x74;
    if (isLikeT && sign.test(bytes.toString("latin1", at, at + longestKey))) return true;
  }
  return false;
}

function isToolList(message: unknown): message is ToolList {
  const result = isObject(message) ? message["result"] : undefined;
  return isObject(result) && Array.isArray(result["tools"]);
}

/** A list, also beside another, for readers that take keys of other case for the same. */
function isReadTwice(message: unknown): boolean {
  if (!isObject(message)) return false;
  const results = Object.keys(message).filter((key) => folded(key) === "result");
  return results.some((key) => {
    const result = message[key];
    if (!isObject(result)) return false;
    return Object.keys(result).some(
      (each) =>
        folded(each) === "tools" &&
        Array.isArray(result[each]) &&
        (key !== "result" || each !== "tools"),
    );
  });
}
