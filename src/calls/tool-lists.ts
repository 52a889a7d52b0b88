import type { Caller } from "#src/agents/caller.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { isObject } from "#src/config/read.ts";
import { parseExactly } from "#src/crypto/canonical-json.ts";
import { type Definitions, natureIn } from "#src/guards/tools/definitions.ts";
import { isAllowed } from "#src/guards/tools/rules.ts";
import { Failure } from "#src/failure.ts";
import { checkKeys } from "./json-keys.ts";
import type { Switches } from "#src/guards/switches.ts";

type Listing = { readonly definitions: Definitions; readonly switches: Switches };
type Owner = { readonly caller: Caller; readonly upstream: Upstream };
type Message = Readonly<Record<string, unknown>>;
type ToolList = Message & { readonly result: Message & { readonly tools: readonly unknown[] } };

/**
 * A JSON-RPC message, or a batch, as this caller may see it: lists of tools without those that are held or that
 * no policy allows it. Undefined when nothing of it has to change. What is left of a list is `private`: it must
 * not be kept for others (MCP 2026-07-28, caching).
 * Failures: `database_unavailable` when something new could not be written down, `upstream_invalid` when readers
 * could understand it differently.
 */
export async function screened(
  app: Listing,
  owner: Owner,
  json: string,
): Promise<string | undefined> {
  expectOneReading(json);
  const value: unknown = JSON.parse(json);
  const messages = Array.isArray(value) ? value : [value];
  if (!messages.some(isToolList)) return undefined;
  const exact: unknown = parseExactly(json);
  const written: readonly unknown[] = Array.isArray(exact) ? exact : [exact];
  const out: unknown[] = [];
  for (const [index, message] of messages.entries()) {
    const kept = isToolList(message) ? await keptOf(app, owner, message) : undefined;
    out.push(kept === undefined ? written[index] : without(written[index], kept));
  }
  const isSame = out.every((message, index) => message === written[index]);
  if (isSame) return undefined;
  return JSON.stringify(Array.isArray(value) ? out : out[0]);
}

/** A client that takes the first of two keys would see another list than the one that was judged. */
function expectOneReading(json: string): void {
  try {
    checkKeys(json);
  } catch {
    throw new Failure("upstream_invalid");
  }
}

/** The same message when every tool of it is kept. */
function without(message: unknown, kept: readonly boolean[]): unknown {
  if (!isToolList(message) || !kept.includes(false)) return message;
  const tools = message.result.tools.filter((_, at) => kept[at] === true);
  const scope = "cacheScope" in message.result ? { cacheScope: "private" } : {};
  return { ...message, result: { ...message.result, tools, ...scope } };
}

/** Which entries of a list this caller may see. */
async function keptOf(app: Listing, owner: Owner, { result }: ToolList): Promise<boolean[]> {
  const { upstream } = owner;
  const shown = result.tools.filter(isObject);
  const isLast = typeof result["nextCursor"] !== "string";
  const judged = await app.definitions.judge(upstream, shown, isLast);
  const may = new Map(shown.map((definition, index) => [definition, judged[index] === true]));
  return result.tools.map((tool) => {
    if (!isObject(tool) || may.get(tool) !== true) return false;
    const { name } = tool;
    if (typeof name !== "string" || app.switches.isOff(`tool:${upstream.name}/${name}`))
      return false;
    return isAllowed(owner, name, natureIn(tool));
  });
}

/** Whether this text is, or holds, a list of tools. Cheap where it cannot be one. */
export function holdsToolList(text: string): boolean {
  if (!mayHoldToolList(text)) return false;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.some(isToolList) : isToolList(value);
  } catch {
    return false;
  }
}

/** As many bytes can a sign of a list be split over two chunks. */
export const seamBytes = 6;

/** The letters of `tools`, escaped; nobody escapes them who has nothing to hide. */
const escaped = ["\\u0074", "\\u006f", "\\u006F", "\\u006c", "\\u006C", "\\u0073"] as const;

/** Whether a key `tools` may be in it, however it is written. */
export function mayHoldToolList(text: string | Buffer): boolean {
  if (text.includes('tools"')) return true;
  return text.includes("\\u00") && escaped.some((letter) => text.includes(letter));
}

function isToolList(message: unknown): message is ToolList {
  const result = isObject(message) ? message["result"] : undefined;
  return isObject(result) && Array.isArray(result["tools"]);
}
