import { isObject, canonicalJson, parseExactly, hasLookalike, scanJson } from "#src/json.ts";
import { Failure } from "#src/failure.ts";
import { type Reading, bigBytes, readBounded } from "#src/http/body.ts";
import { readTraceparent } from "#src/telemetry/trace.ts";
import type { ToolCall, Written } from "#src/policy/plan.ts";
import { turn } from "#src/http/event-loop.ts";
import { type RpcId, asWritten } from "./rpc-id.ts";
import { isOwnState, withoutOwn, withoutOwnAnswer } from "./elicitation-state.ts";

/** One MCP exchange as its body describes it; the body decides, headers only mirror it. */
export type Call = {
  readonly httpMethod: string;
  readonly rpcMethod: string | undefined;
  /** Of every message in it: a batch has several, an answer has none. */
  readonly rpcMethods: readonly string[];
  /** Tool or prompt name, or resource URI. */
  readonly name: string | undefined;
  readonly id: RpcId;
  /** Something in it answers a question of the server. */
  readonly hasAnswers: boolean;
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
  /** What goes to the upstream: as it came, but for answers to our own questions. */
  readonly body: Uint8Array<ArrayBuffer> | undefined;
};

export const mostBodyBytes = 4 * 1024 * 1024;
const firstModern = "2026-07-28";
const versionKey = "io.modelcontextprotocol/protocolVersion";
const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a request for policy and keeps its bytes. Big bodies are read into messages one at a time, so that whoever
 * sends many holds nobody else up.
 * Failures: `body_too_large`, `body_unreadable`, `message_invalid`.
 */
export function readCall(request: Request, reading?: Reading): Call | Promise<Call> {
  const httpMethod = request.method;
  if (httpMethod !== "POST") return { ...noMessage, httpMethod };
  const bytes = readBounded(request, mostBodyBytes, reading);
  if (!(bytes instanceof Promise) && !isBig(bytes)) return readMessage(request, bytes);
  return readLater(request, bytes);
}

async function readLater(
  request: Request,
  coming: Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>,
): Promise<Call> {
  const bytes = await coming;
  if (isBig(bytes)) await turn();
  return readMessage(request, bytes);
}

function readMessage(request: Request, bytes: Uint8Array<ArrayBuffer>): Call {
  const { message, text, canonicalArguments } = parse(bytes);
  if (Array.isArray(message)) {
    return { ...batch(request, message, text), body: bytes };
  }
  if (!isObject(message)) throw new Failure("message_invalid");
  return single(new Sent(request, message, text, { canonicalArguments }), bytes);
}

/** What is done with a message of this size takes a moment that others notice: each such step waits for its turn. */
export function isBig(body: Uint8Array | undefined): boolean {
  return body !== undefined && body.length >= bigBytes;
}

type Message = Readonly<Record<string, unknown>>;

const noMessage = {
  httpMethod: "POST",
  rpcMethod: undefined,
  rpcMethods: [],
  opensLinks: false,
  hasAnswers: false,
  name: undefined,
  id: null,
  toolCalls: [],
  ownState: undefined,
  cursor: undefined,
  isModern: false,
  bodyVersion: undefined,
  traceparent: undefined,
  body: undefined,
} as const;

type Parsed = {
  readonly message: unknown;
  readonly text: string;
  /** Undefined where they have to be written anew. */
  readonly canonicalArguments: string | undefined;
};

function parse(body: Uint8Array): Parsed {
  try {
    const text = decoder.decode(body);
    const canonicalArguments = scanJson(text, { member: ["params", "arguments"] });
    return { message: JSON.parse(text), text, canonicalArguments };
  } catch (error) {
    throw error instanceof Failure ? error : new Failure("body_unreadable");
  }
}

const mostMessages = 50;

const nothing: Message = {};

/** Batches were part of 2025-03-26 alone. */
function batch(request: Request, messages: readonly unknown[], text: string): Call {
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
  const toolCalls = messages.flatMap((message, index) =>
    toolCallOf(new Sent(request, message, text, { index })),
  );
  const hasAnswers = messages.some(answers);
  return { ...noMessage, rpcMethod: "batch", rpcMethods, toolCalls, hasAnswers };
}

/** A message without a method, or one that is sent again with what was asked for (MCP 2026-07-28). */
function answers({ method, params }: Message): boolean {
  return typeof method !== "string" || (isObject(params) && params["inputResponses"] !== undefined);
}

function single(sent: Sent, bytes: Uint8Array<ArrayBuffer>): Call {
  const { request, message, text } = sent;
  refuseAmbiguous(message);
  const { method: said, id } = message;
  const method = typeof said === "string" ? said : undefined;
  const parameters = isObject(message["params"]) ? message["params"] : undefined;
  const about = isObject(parameters?.["_meta"]) ? parameters["_meta"] : nothing;
  const bodyVersion = about[versionKey];
  const hasAnswers = answers(message);
  const ownState = stateIn(parameters);
  return {
    httpMethod: "POST",
    rpcMethod: method,
    rpcMethods: method === undefined ? [] : [method],
    hasAnswers,
    opensLinks: opensLinks(about[capabilitiesKey]),
    traceparent: traceparentIn(about["traceparent"]),
    name: nameIn(method, parameters),
    toolCalls: method === "tools/call" ? toolCallOf(sent) : none,
    ownState,
    cursor: textIn(parameters?.["cursor"]),
    id: readId(id, text),
    isModern:
      isModernVersion(request.headers.get("mcp-protocol-version")) || isModernVersion(bodyVersion),
    bodyVersion,
    body: passedOn(message, bytes, hasAnswers || ownState !== undefined),
  };
}

/** What goes to the upstream; the answer to our own question does not. */
function passedOn(message: Message, bytes: Uint8Array<ArrayBuffer>, mayBeOurs: boolean) {
  return mayBeOurs ? (withoutOwnAnswer(message, bytes) ?? bytes) : bytes;
}

/** The state of our own question; most calls have none. */
function stateIn(parameters: Message | undefined): string | undefined {
  const state = parameters?.["requestState"];
  return state === undefined || !isOwnState(state) ? undefined : state;
}

/** A message as it was sent. */
class Sent {
  readonly request: Request;
  readonly message: Message;
  readonly text: string;
  readonly canonicalArguments: string | undefined;
  readonly #index: number | undefined;

  /** @param about Its index in a batch; the canonical text of its arguments, where that is known. */
  constructor(
    request: Request,
    message: Message,
    text: string,
    about: { readonly index?: number; readonly canonicalArguments?: string | undefined },
  ) {
    this.request = request;
    this.message = message;
    this.text = text;
    this.canonicalArguments = about.canonicalArguments;
    this.#index = about.index;
  }

  /** With its numbers as they were written, where a double does not hold one of them. */
  exact(): unknown {
    if (!longNumber.test(this.text)) return this.message;
    const exact = parseExactly(this.text);
    if (this.#index === undefined) return exact;
    return Array.isArray(exact) ? exact[this.#index] : this.message;
  }
}

const none: readonly never[] = [];
const longNumber = /\d[\d.]{15}|\d[eE][+-]?\d{3}/;

/** Nothing for one without the name of a tool: guards refuse it. */
function toolCallOf(sent: Sent): readonly ToolCall[] {
  const { message } = sent;
  const parameters = message["params"];
  const name = isObject(parameters) ? parameters["name"] : undefined;
  const isNamed = typeof name === "string" && name.length <= longestName;
  if (isNamed && !isStorable(name)) {
    throw new Failure("message_invalid", "The name of a tool holds a NUL, or half a character");
  }
  if (message["method"] !== "tools/call" || !isObject(parameters) || !isNamed) return none;
  return [{ name, written: new WrittenCall(parameters, sent) }];
}

/** Each of it is worked out when it is asked for: most calls need none. */
class WrittenCall implements Written {
  readonly #parameters: Message;
  readonly #sent: Sent;
  #canonical: string | undefined;
  #exact: Message | undefined;

  constructor(parameters: Message, sent: Sent) {
    this.#parameters = parameters;
    this.#sent = sent;
    this.#canonical = sent.canonicalArguments;
  }

  get arguments(): Message {
    const given = this.#parameters["arguments"];
    return isObject(given) ? given : {};
  }

  get canonical(): string {
    return (this.#canonical ??= canonicalJson(this.#exactParameters()["arguments"] ?? {}));
  }

  get request(): string {
    const { name: _, arguments: given = {}, ...more } = agreedTo(this.#exactParameters());
    const others = { ...more, ...besides(this.#sent) };
    if (Object.keys(others).length === 0) return this.canonical;
    return canonicalJson({ arguments: given, ...others });
  }

  #exactParameters(): Message {
    if (this.#exact !== undefined) return this.#exact;
    const exact = this.#sent.exact();
    const parameters = isObject(exact) ? exact["params"] : undefined;
    return (this.#exact = isObject(parameters) ? parameters : this.#parameters);
  }
}

/** What an MCP server does not act upon: a person need not agree to it. */
const neutralMeta = new Set([
  "progressToken",
  "traceparent",
  "tracestate",
  "baggage",
  versionKey,
  capabilitiesKey,
  "io.modelcontextprotocol/clientInfo",
]);

/** What reaches the upstream beside the parameters of a call: unknown members of its message, and `Mcp-Param-` headers. */
function besides({ request: { headers }, message }: Sent): Message {
  const { jsonrpc: _, id: __, method: ___, params: ____, ...members } = message;
  const mirrored: Record<string, string> = {};
  if (headers.has("mcp-name")) {
    headers.forEach((value, name) => {
      if (name.startsWith("mcp-param-")) mirrored[name] = value;
    });
  }
  const hasHeaders = Object.keys(mirrored).length > 0;
  const hasMembers = Object.keys(members).length > 0;
  return {
    ...(hasMembers ? { message: members } : {}),
    ...(hasHeaders ? { headers: mirrored } : {}),
  };
}

/** The parameters of a call without what is neutral, and without the answer to our own question. */
function agreedTo({ _meta: about, ...parameters }: Message): Message {
  const meta = isObject(about)
    ? Object.fromEntries(Object.entries(about).filter(([key]) => !neutralMeta.has(key)))
    : about;
  const isEmpty = meta === undefined || (isObject(meta) && Object.keys(meta).length === 0);
  const rest = withoutOwn(parameters);
  return isEmpty ? rest : { ...rest, _meta: meta };
}

const longestName = 512;

/** PostgreSQL takes no NUL and no half of a surrogate pair; a stop that could not be stored would be none. */
function isStorable(name: string): boolean {
  return name.isWellFormed() && !name.includes("\0");
}

/** It comes back as it was written, whatever its size. */
function readId(id: unknown, text: string): RpcId {
  if (typeof id === "number") return asWritten(id, text);
  return typeof id === "string" ? id : null;
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
