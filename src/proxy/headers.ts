import type { Caller } from "#src/oauth-server/caller.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import type { CallerPlan } from "#src/policy/plan.ts";
import type { HeaderReader } from "#src/http/exchange.ts";
import { readRetryAfter } from "#src/http/reason.ts";
import { bind, unbind } from "./binding.ts";
import { Failure } from "#src/failure.ts";
import type { Call } from "./message.ts";

type Owner = { readonly caller: Caller; readonly upstream: Upstream };

/** What a client may say to an upstream; everything else stays here (Authorization, cookies, Origin, …). */
const passedIn = [
  "mcp-protocol-version",
  "mcp-method",
  "mcp-name",
  "last-event-id",
  "traceparent",
  "tracestate",
] as const;

/** All that `headersIn` looks at. */
const read = [...passedIn, "accept", "mcp-session-id"] as const;

const bothKinds = "application/json, text/event-stream";

type Values = Readonly<Record<string, string>>;

/** What a client said the last time, and what went out for it: nearly every call says the same. */
type Sent = {
  readonly method: string;
  readonly said: readonly (string | null)[];
  readonly credential: Values;
  readonly headers: Values;
};

const sent = new WeakMap<CallerPlan, Sent>();

/**
 * The request headers for the upstream, with `credential` in place of the agent's bearer: the same object for the same
 * headers, as long as the plan of the call holds. Failures: `mcp_session_unknown`.
 */
export function headersIn(
  app: Pick<App, "bindingKey">,
  request: Request,
  plan: CallerPlan,
  credential: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { headers } = request;
  const before = sent.get(plan);
  if (before !== undefined && saysTheSame(request, credential, before)) {
    return withParameters(headers, before.headers);
  }
  const made = headersOf(app, request, plan, credential);
  const said = read.map((name) => headers.get(name));
  sent.set(plan, { method: request.method, said, credential, headers: made });
  return withParameters(headers, made);
}

function saysTheSame({ method, headers }: Request, credential: Values, before: Sent): boolean {
  if (method !== before.method) return false;
  for (const name in credential) if (credential[name] !== before.credential[name]) return false;
  for (const [at, name] of read.entries()) if (headers.get(name) !== before.said[at]) return false;
  return true;
}

/** Only a tool with an `x-mcp-header` annotation makes a client send these, beside `Mcp-Name` (MCP 2026-07-28). */
function withParameters(headers: Headers, made: Values): Values {
  if (made["mcp-name"] === undefined) return made;
  let found: Record<string, string> | undefined;
  headers.forEach((value, name) => {
    if (name.startsWith("mcp-param-")) (found ??= {})[name] = sendable(name, value);
  });
  return found === undefined ? made : { ...made, ...found };
}

function headersOf(
  app: Pick<App, "bindingKey">,
  request: Request,
  { caller, upstream }: CallerPlan,
  credential: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { headers } = request;
  const out: Record<string, string> = {
    accept: sendable("accept", acceptOf(headers.get("accept"))),
    "accept-encoding": "identity",
    "user-agent": "smartdash",
    ...credential,
  };
  // The body was judged as JSON in UTF-8: whatever else its sender calls it, nobody may read it as that.
  if (request.method === "POST") out["content-type"] = "application/json";
  for (const name of passedIn) {
    const value = headers.get(name);
    if (value !== null) out[name] = sendable(name, value);
  }
  const session = headers.get("mcp-session-id");
  if (typeof session === "string") {
    out["mcp-session-id"] = unbind(app, { caller, upstream, purpose: "session" }, session);
  } else if (upstream.credential.kind !== "account") {
    // To such an upstream every caller looks the same: somebody else's events are not resumed.
    delete out["last-event-id"];
  }
  return out;
}

/** Our server takes more than may be sent on (RFC 9110 section 5.5): whose mistake that is has to be clear. */
function sendable(name: string, value: string): string {
  if (!/[^\t\x20-\x7e\x80-\xff]/.test(value)) return value;
  throw new Failure("message_invalid", `The header ${name} holds a control character`);
}

/** Always with `text/event-stream`; a client that wants anything gets what MCP speaks. */
function acceptOf(accept: string | null): string {
  if (accept === null || accept.trim() === "" || accept.includes("*/*")) return bothKinds;
  return accept.includes("text/event-stream") ? accept : `${accept}, text/event-stream`;
}

/**
 * What an answer says besides its type, for the client; undefined where that is nothing. The upstream's challenge,
 * cookies and encoding stay here.
 */
export function headersOut(
  app: Pick<App, "bindingKey" | "now">,
  answer: HeaderReader,
  owner: Owner,
): Record<string, string> | undefined {
  let out: Record<string, string> | undefined;
  const version = answer.get("mcp-protocol-version");
  if (typeof version === "string") (out ??= {})["mcp-protocol-version"] = version;
  const retryAfter = answer.get("retry-after");
  const seconds =
    typeof retryAfter === "string" ? readRetryAfter(retryAfter, app.now()) : undefined;
  if (seconds !== undefined) (out ??= {})["retry-after"] = String(seconds);
  const allow = answer.get("allow");
  if (typeof allow === "string") (out ??= {})["allow"] = allow;
  const session = answer.get("mcp-session-id");
  if (typeof session === "string")
    (out ??= {})["mcp-session-id"] = bind(app, { ...owner, purpose: "session" }, session);
  return out;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

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
  const name = request.headers.get("mcp-name");
  if (call.name === undefined) {
    if (name !== null) throw mismatch("Mcp-Name");
    return;
  }
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

/** What the type of an answer's body means for whoever passes it on. */
export type MediaType = {
  readonly isStream: boolean;
  /** It could be a message for some client. */
  readonly isJson: boolean;
  /** What its answers are sent with. */
  readonly template: AnswerTemplate;
};

/** The headers of answers of one type: Response copies them, and most are what they were for the answer before. */
class AnswerTemplate {
  readonly #headers: Headers;
  #own: Values = {};

  constructor(headers: Headers) {
    this.#headers = headers;
  }

  /**
   * The same object each time: it holds until the next call.
   * @param own Headers of ours; what an upstream has said goes to its own answer alone.
   */
  headersFor(requestId: string, own: Values): Headers {
    const [headers, before] = [this.#headers, this.#own];
    this.#own = own;
    headers.set("x-request-id", requestId);
    for (const name in own) {
      const value = own[name] ?? "";
      if (value !== before[name]) headers.set(name, value);
    }
    for (const name in before) if (own[name] === undefined) headers.delete(name);
    return headers;
  }
}

const mediaTypes = new Map<string | null, MediaType>();
const mostMediaTypes = 100;

/** Upstreams use few of them. Failures: `upstream_invalid` for what some clients take for a stream of events. */
export function mediaTypeOf(type: string | null | undefined): MediaType {
  const known = mediaTypes.get(type ?? null);
  if (known !== undefined) return known;
  const read = readMediaType(type ?? undefined);
  if (mediaTypes.size >= mostMediaTypes) mediaTypes.clear();
  mediaTypes.set(type ?? null, read);
  return read;
}

function readMediaType(type: string | undefined): MediaType {
  const isStream = /^\s*text\/event-stream\s*(;|$)/i.test(type ?? "");
  if (!isStream && /text\/event-stream/i.test(type ?? "")) throw new Failure("upstream_invalid");
  const headers = new Headers({
    "cache-control": isStream ? "no-cache, no-transform" : "no-store",
    "x-content-type-options": "nosniff",
  });
  if (isStream) headers.set("x-accel-buffering", "no");
  if (type !== undefined) headers.set("content-type", plainType(type));
  const template = new AnswerTemplate(headers);
  return { isStream, isJson: type === undefined || /json/i.test(type), template };
}

/** Messages are UTF-8 and were judged as that: no other charset goes on with them. */
function plainType(type: string): string {
  return (
    /^\s*(text\/event-stream|application\/json)\s*(;|$)/i.exec(type)?.[1]?.toLowerCase() ?? type
  );
}
