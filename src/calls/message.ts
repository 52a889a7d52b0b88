import { isObject } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import { readBounded } from "#src/http/body.ts";
import { readTraceparent } from "#src/telemetry/trace.ts";
import { canonicalJson, parseExactly } from "#src/crypto/canonical-json.ts";
import { checkKeys, hasLookalike } from "./json-keys.ts";
import { ownStateIn, withoutOwnAnswer } from "./own-question.ts";

export type RpcId = string | number | null;

/** One call of a tool. */
export type ToolCall = {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The same text for the same arguments, in whatever order they were written (see `canonicalJson`). */
  readonly canonical: string;
};

/** One MCP exchange as its body describes it; the body decides, headers only mirror it. */
export type Call = {
  readonly httpMethod: string;
  /** The bytes as they came, for the upstream. */
  readonly body: Uint8Array<ArrayBuffer> | undefined;
  readonly rpcMethod: string | undefined;
  /** Of every message in it: a batch has several, an answer has none. */
  readonly rpcMethods: readonly string[];
  /** Tool or prompt name, or resource URI. */
  readonly name: string | undefined;
  readonly id: RpcId;
  /** Every call of a tool in it. */
  readonly toolCalls: readonly ToolCall[];
  /** Which page of a list is asked for; undefined for the first. */
  readonly cursor: string | undefined;
  /** The client's answer to our own question about this call; see `approvals`. */
  readonly ownState: string | undefined;
  /** MCP 2026-07-28 or later: stateless, and a client that goes away has cancelled. */
  readonly isModern: boolean;
  /** The protocol version that the message itself names. */
  readonly bodyVersion: unknown;
  /** The client shows its person links that a server asks it to (elicitation in URL mode). */
  readonly opensLinks: boolean;
  /** Trace context that the message itself carries (`_meta`). */
  readonly traceparent: string | undefined;
};

export const mostBodyBytes = 4 * 1024 * 1024;
const firstModern = "2026-07-28";
const versionKey = "io.modelcontextprotocol/protocolVersion";
const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a request for policy and keeps its bytes.
 * Failures: `body_too_large`, `body_unreadable`, `message_invalid`.
 */
export async function readCall(request: Request): Promise<Call> {
  const httpMethod = request.method;
  if (httpMethod !== "POST") return { ...noMessage, httpMethod };
  const body = await readBounded(request, mostBodyBytes);
  const { message, text } = parse(body);
  if (Array.isArray(message)) return { ...batch(request, message, text), httpMethod, body };
  if (!isObject(message)) throw new Failure("message_invalid");
  const described = single(request, message, text);
  return { ...described, httpMethod, body: withoutOwnAnswer(message, body) ?? body };
}

type Message = Readonly<Record<string, unknown>>;
type Described = Omit<Call, "httpMethod" | "body">;

const noMessage = {
  body: undefined,
  rpcMethod: undefined,
  rpcMethods: [],
  opensLinks: false,
  name: undefined,
  id: null,
  toolCalls: [],
  ownState: undefined,
  cursor: undefined,
  isModern: false,
  bodyVersion: undefined,
  traceparent: undefined,
} as const;

function parse(body: Uint8Array): { readonly message: unknown; readonly text: string } {
  let text: string;
  let message: unknown;
  try {
    text = decoder.decode(body);
    message = JSON.parse(text);
  } catch {
    throw new Failure("body_unreadable");
  }
  checkKeys(text);
  return { message, text };
}

const mostMessages = 50;

/** Batches were part of 2025-03-26 alone. */
function batch(request: Request, messages: readonly unknown[], text: string): Described {
  if (isModernVersion(request.headers.get("mcp-protocol-version"))) {
    throw new Failure("message_invalid", "MCP 2026-07-28 has no batches: send one message");
  }
  if (messages.length === 0 || !messages.every(isObject)) throw new Failure("message_invalid");
  if (messages.length > mostMessages) {
    throw new Failure("message_invalid", `A batch holds ${mostMessages} messages at most`);
  }
  messages.forEach(refuseAmbiguous);
  const methods = messages.map(({ method }) => method);
  const rpcMethods = methods.filter((method) => typeof method === "string");
  const exact = exactly(text);
  const toolCalls = messages.flatMap((message, index) =>
    toolCallOf(message, Array.isArray(exact) ? exact[index] : message),
  );
  return { ...noMessage, rpcMethod: "batch", rpcMethods, toolCalls };
}

function single(request: Request, message: Message, text: string): Described {
  refuseAmbiguous(message);
  const { method: said, id } = message;
  const method = typeof said === "string" ? said : undefined;
  const parameters = isObject(message["params"]) ? message["params"] : undefined;
  const about = isObject(parameters?.["_meta"]) ? parameters["_meta"] : {};
  const bodyVersion = about[versionKey];
  return {
    rpcMethod: method,
    rpcMethods: method === undefined ? [] : [method],
    opensLinks: opensLinks(about[capabilitiesKey]),
    traceparent: traceparentIn(about["traceparent"]),
    name: nameIn(method, parameters),
    toolCalls: method === "tools/call" ? toolCallOf(message, exactly(text) ?? message) : [],
    ownState: ownStateIn(parameters),
    cursor: textIn(parameters?.["cursor"]),
    id: readId(id),
    isModern: [request.headers.get("mcp-protocol-version"), bodyVersion].some(isModernVersion),
    bodyVersion,
  };
}

/** The message with its numbers as they were written; undefined when a double holds every one of them. */
function exactly(text: string): unknown {
  return longNumber.test(text) ? parseExactly(text) : undefined;
}

const longNumber = /\d[\d.]{15}|\d[eE][+-]?\d{3}/;

/** Nothing for one without the name of a tool: guards refuse it. */
function toolCallOf(message: Message, exact: unknown): readonly ToolCall[] {
  const parameters = message["params"];
  const name = isObject(parameters) ? parameters["name"] : undefined;
  const isNamed = typeof name === "string" && name.length <= longestName;
  if (message["method"] !== "tools/call" || !isObject(parameters) || !isNamed) return [];
  const given = parameters["arguments"];
  const written = isObject(exact) && isObject(exact["params"]) ? exact["params"] : parameters;
  const canonical = canonicalJson(written["arguments"] ?? {});
  return [{ name, arguments: isObject(given) ? given : {}, canonical }];
}

const longestName = 512;

function readId(id: unknown): RpcId {
  return typeof id === "string" || typeof id === "number" ? id : null;
}

function textIn(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function traceparentIn(value: unknown): string | undefined {
  return typeof value === "string" && readTraceparent(value) !== undefined
    ? value.slice(0, 55)
    : undefined;
}

function isModernVersion(version: unknown): boolean {
  return typeof version === "string" && /^\d{4}-\d\d-\d\d$/.test(version) && version >= firstModern;
}

const messageKeys = new Set(["jsonrpc", "id", "method", "params", "result", "error"]);
const parameterKeys = new Set(["name", "uri", "taskId", "arguments", "_meta", "inputResponses"]);

/** What one reader takes for a call and another for an answer is neither. Failures: `message_invalid`. */
function refuseAmbiguous(message: Message): void {
  const { method, params } = message;
  const isCall = typeof method === "string";
  const isAnswer = !Object.hasOwn(message, "method") && ("result" in message || "error" in message);
  if (!isCall && !isAnswer) throw new Failure("message_invalid");
  const isOdd = isObject(params) && hasLookalike(params, parameterKeys);
  if (!isOdd && !hasLookalike(message, messageKeys)) return;
  throw new Failure("message_invalid", "A key of the protocol is written in other case");
}

function opensLinks(capabilities: unknown): boolean {
  const elicitation = isObject(capabilities) ? capabilities["elicitation"] : undefined;
  return isObject(elicitation) && isObject(elicitation["url"]);
}

/** Which field of the parameters `Mcp-Name` mirrors. */
const nameFields: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

function nameIn(method: string | undefined, parameters: Message | undefined): string | undefined {
  const field = nameFields[method ?? ""];
  const value = field === undefined ? undefined : parameters?.[field];
  return typeof value === "string" ? value : undefined;
}
