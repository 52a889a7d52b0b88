import type { Caller } from "#src/oauth-server/caller.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { isObject, parseExactly, folded, listBounds, scanJson } from "#src/json.ts";
import { asFailure } from "#src/failure.ts";
import type { CallContext, HashDeps } from "#src/policy/plan.ts";
import type { PolicyDecision } from "#src/policy/guard.ts";
import type { Switches } from "#src/policy/switches.ts";
import { type Expected, type RpcId, nobody, standsAt, withoutId } from "./rpc-id.ts";
import type { Call } from "./message.ts";
import { type Definitions, type ListPage, natureIn } from "#src/policy/tools/definitions.ts";
import { isAllowed } from "#src/policy/tools/rules.ts";

/*
 * What policy wants to see of an answer: how a call of a tool went, and lists of tools, of which each caller sees its own.
 */

/** What is looked for in an answer while it passes; see `ResponseInspector`. */
export type Inspection = {
  /** Whose answer it is: what one caller's answers hold has a limit of its own. */
  readonly caller: string;
  /** Of the request that waits for the answer. An answer to another one ends it. */
  readonly id: Expected;
  readonly status: number;
  /**
   * The message as the reader may see it, where lists of tools are expected; undefined when nothing changes.
   * Absent where no list belongs: one that comes all the same ends the answer.
   */
  readonly screen: ((json: string) => Promise<string | undefined>) | undefined;
  /** The last message, cut off at 256 KiB where it flows, and the size of all; when the answer has ended well. */
  readonly ended: ((last: Buffer, size: number) => void) | undefined;
};

/** So much of the last event is for whoever is told of an answer. */
export const mostTold = 256 * 1024;

/** What policy wants to see of an answer. */
export function inspectionOf(
  app: Deps & Pick<HashDeps, "digest"> & Clock,
  about: {
    readonly context: CallContext;
    readonly call: Call;
    readonly decision: PolicyDecision;
    readonly status: number;
  },
): Inspection {
  // A stream lives for hours: of the call only what is needed for its answer is kept with it.
  const { context, call, decision, status } = about;
  const { id, isModern } = call;
  // In MCP before 2026-07-28 an answer may come on any stream that a client opens with GET.
  const isList = call.httpMethod === "GET" || call.rpcMethods.includes("tools/list");
  const isTool = call.toolCalls.length === 1;
  return {
    caller: context.caller.key,
    id: expectedBy(call),
    status,
    screen: isList ? screenOf(app, context, call) : undefined,
    ended: isTool ? outcomeNoter(app, decision, { id, isModern, status }) : undefined,
  };
}

/** A batch has several; what comes on a stream that was opened with GET may answer whatever was asked elsewhere. */
function expectedBy({ httpMethod, rpcMethod, id }: Call): Expected {
  if (httpMethod !== "POST" || rpcMethod === "batch") return null;
  return id ?? nobody;
}

type Clock = { readonly now: () => Date };

function screenOf(app: Deps, { caller, upstream }: CallContext, call: Call): Inspection["screen"] {
  const from = call.rpcMethod === "tools/list" ? { cursor: call.cursor } : "unknown";
  const owner = { caller, upstream, from } as const;
  return (json) => screened(app, owner, json);
}

/** A call of a tool that brought no answer is a failure of it, whoever's fault it was. */
export function noteFailure(
  app: Clock,
  decision: PolicyDecision,
  { tools }: CallContext,
  error: unknown,
): void {
  const { code } = asFailure(error);
  if (tools.length !== 1 || !code.startsWith("upstream_")) return;
  const outcome = { result: code, isError: true, asksFirst: false };
  decision.ended(outcome, "", app.now().getTime());
}

/**
 * Notes how a call of a tool ended, by the last message of its answer and the size of all of it. Not where the answer
 * is none: accepted, and answered elsewhere (MCP 2024-11-05), or broken off.
 */
function outcomeNoter(
  app: Pick<HashDeps, "digest"> & Clock,
  decision: PolicyDecision,
  { id, isModern, status }: { id: RpcId; isModern: boolean; status: number },
): NonNullable<Inspection["ended"]> {
  return (last, size) => {
    const rest = withoutId(last, id);
    if (rest === undefined && status < 400) return;
    // What the client has called it says nothing about how it went.
    const said = rest ?? last;
    const digest = app.digest(said);
    const outcome = {
      // What was cut off is known by its length, too.
      result: last.length < mostTold ? digest : `${size} ${digest}`,
      isError: status >= 400 || saysFailure(said),
      asksFirst: isModern && last.includes('"input_required"') && asksFirst(last),
    };
    decision.ended(outcome, said, app.now().getTime());
  };
}

function saysFailure(message: Buffer): boolean {
  if (holdsTrue(message, isErrorKey)) return true;
  return message.includes(errorKey) && !message.includes(resultKey);
}

const isErrorKey = Buffer.from('"isError"');
const errorKey = Buffer.from('"error"');
const resultKey = Buffer.from('"result"');

/** Whether a key stands with `true`; nothing is decoded. */
function holdsTrue(message: Buffer, key: Buffer): boolean {
  let at = message.indexOf(key);
  while (at !== -1) {
    const colon = behindBlanks(message, at + key.length);
    const value = message[colon] === 0x3a ? behindBlanks(message, colon + 1) : message.length;
    if (standsAt(message, value, "true")) return true;
    at = message.indexOf(key, at + key.length);
  }
  return false;
}

function behindBlanks(bytes: Buffer, from: number): number {
  let at = from;
  while (blanks.has(bytes[at] ?? 0)) at += 1;
  return at;
}

/** Of JSON (RFC 8259 section 2). */
const blanks = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Whether the upstream wants to know something before it does anything (MCP 2026-07-28). */
function asksFirst(json: Buffer): boolean {
  try {
    const message: unknown = JSON.parse(json.toString());
    const result = isObject(message) ? message["result"] : undefined;
    return isObject(result) && result["resultType"] === "input_required";
  } catch {
    return false;
  }
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
async function screened(app: Deps, owner: Owner, json: string): Promise<string | undefined> {
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
    scanJson(text, { bounds: listBounds });
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

/** What every sign of one begins with: looked for in bytes, without a copy of them. */
const escapes = [Buffer.from("\\u00"), Buffer.from("\\u01")] as const;
const keyStarts = [Buffer.from('"t'), Buffer.from('"T')] as const;
const longestKey = 8;

/** Whether a key `tools` may be in it, however it is written. Nobody escapes letters who has nothing to hide. */
export function mayHoldToolList(bytes: Buffer): boolean {
  for (const escape of escapes) {
    if (bytes.includes(escape)) return sign.test(bytes.toString("latin1"));
  }
  return keyStarts.some((start) => hasSignAt(bytes, start));
}

function hasSignAt(bytes: Buffer, start: Buffer): boolean {
  for (let at = bytes.indexOf(start); at !== -1; at = bytes.indexOf(start, at + 1)) {
    // `"type"` and `"text"` are in every answer.
    const isTo = ((bytes[at + start.length] ?? 0) | 0x20) === 0x6f;
    if (isTo && sign.test(bytes.toString("latin1", at, at + longestKey))) return true;
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
