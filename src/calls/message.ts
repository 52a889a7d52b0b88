import { isObject } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import { readBounded } from "#src/http/body.ts";
import { readTraceparent } from "#src/telemetry/trace.ts";
import { hasDuplicateKeys, hasLookalike } from "./json-keys.ts";

export type RpcId = string | number | null;

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
/** Our own question to a modern client (see `relink.ts`); its answer is not for the upstream. */
export const ownQuestion = "smartdash/reconnect";
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a request for policy and keeps its bytes.
 * Failures: `body_too_large`, `body_unreadable`, `message_invalid`.
 */
export async function readCall(request: Request): Promise<Call> {
  const httpMethod = request.method;
  if (httpMethod !== "POST") return { ...noMessage, httpMethod };
  const body = await readBounded(request, mostBodyBytes);
  const message = parse(body);
  if (Array.isArray(message)) return { ...batch(request, message), httpMethod, body };
  if (!isObject(message)) throw new Failure("message_invalid");
  return { ...single(request, message), httpMethod, body: withoutOwnAnswer(message, body) ?? body };
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
  isModern: false,
  bodyVersion: undefined,
  traceparent: undefined,
} as const;

function parse(body: Uint8Array): unknown {
  let text: string;
  let value: unknown;
  try {
    text = decoder.decode(body);
    value = JSON.parse(text);
  } catch {
    throw new Failure("body_unreadable");
  }
  if (!hasDuplicateKeys(text)) return value;
  throw new Failure("message_invalid", "A key stands twice in one object of the request body");
}

/** Batches were part of 2025-03-26 alone. */
function batch(request: Request, messages: readonly unknown[]): Described {
  if (isModernVersion(request.headers.get("mcp-protocol-version"))) {
    throw new Failure("message_invalid", "MCP 2026-07-28 has no batches: send one message");
  }
  if (messages.length === 0 || !messages.every(isObject)) throw new Failure("message_invalid");
  messages.forEach(refuseAmbiguous);
  const methods = messages.map(({ method }) => method);
  const rpcMethods = methods.filter((method) => typeof method === "string");
  return { ...noMessage, rpcMethod: "batch", rpcMethods };
}

function single(request: Request, message: Message): Described {
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
    id: typeof id === "string" || typeof id === "number" ? id : null,
    isModern: [request.headers.get("mcp-protocol-version"), bodyVersion].some(isModernVersion),
    bodyVersion,
  };
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

/** The message without the answer to our own question; undefined when there is none in it. */
function withoutOwnAnswer(message: Message, body: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (!hasOwnAnswer(message)) return undefined;
  const exact = parseExactly(decoder.decode(body));
  if (!hasOwnAnswer(exact)) return undefined;
  const { params } = exact;
  const { [ownQuestion]: _, ...others } = params.inputResponses;
  const { inputResponses: __, ...rest } = params;
  const left = Object.keys(others).length === 0 ? rest : { ...rest, inputResponses: others };
  return new TextEncoder().encode(JSON.stringify({ ...exact, params: left }));
}

type OwnAnswer = Message & { readonly params: Message & { readonly inputResponses: Message } };

function hasOwnAnswer(message: unknown): message is OwnAnswer {
  const parameters = isObject(message) ? message["params"] : undefined;
  const answers = isObject(parameters) ? parameters["inputResponses"] : undefined;
  return isObject(answers) && Object.hasOwn(answers, ownQuestion);
}

declare global {
  // ECMAScript has them, the types do not yet.
  interface JSON {
    parse(
      text: string,
      revive: (key: string, value: unknown, at: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): unknown;
  }
}

/** Numbers stay as they were written: order numbers are longer than a double is exact. */
function parseExactly(text: string): unknown {
  return JSON.parse(text, (_, value, { source }) =>
    typeof value === "number" && source !== undefined ? JSON.rawJSON(source) : value,
  );
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

/**
 * MCP 2026-07-28, Streamable HTTP: a server that processes the body refuses headers that say something else.
 * Failures: `header_mismatch`.
 */
export function checkHeaders(request: Request, call: Call): void {
  // Of other revisions, what is passed on is checked: see `checkMirrors`.
  if (!call.isModern) return;
  checkVersion(request, call);
  // What notifications have to mirror is not defined; what they do mirror has to be right.
  const isRequest = call.id !== null;
  const method = request.headers.get("mcp-method");
  if (method === null ? isRequest : method !== call.rpcMethod) throw mismatch("Mcp-Method");
  if (call.name === undefined) return;
  const name = request.headers.get("mcp-name");
  if (name === null ? isRequest : decodeHeader(name) !== call.name) throw mismatch("Mcp-Name");
}

/**
 * Clients of other revisions need not mirror anything; whoever reads a mirror behind us may believe it.
 * Failures: `header_mismatch`.
 */
export function checkMirrors(passedOn: Readonly<Record<string, string>>, call: Call): void {
  const { "mcp-method": method, "mcp-name": name } = passedOn;
  if (method !== undefined && method !== call.rpcMethod) throw mismatch("Mcp-Method");
  if (name !== undefined && decodeHeader(name) !== call.name) throw mismatch("Mcp-Name");
}

function checkVersion({ headers }: Request, { bodyVersion }: Call): void {
  const version = headers.get("mcp-protocol-version");
  const isOther = bodyVersion !== undefined && version !== bodyVersion;
  if (version === null || isOther) throw mismatch("MCP-Protocol-Version");
}

/** Undoes the Base64 form `=?base64?…?=`; anything else stands for itself. */
function decodeHeader(value: string): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/s.exec(value)?.[1];
  if (encoded === undefined) return value;
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.toString("base64") !== encoded) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function mismatch(header: string): Failure {
  return new Failure(
    "header_mismatch",
    `Header mismatch: ${header} is missing or differs from the body`,
  );
}
