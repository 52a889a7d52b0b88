import type { Upstream } from "#src/upstreams/upstream.ts";
import { type McpDeps, answerMcp } from "#src/proxy/routes.ts";
import { mostBodyBytes } from "#src/proxy/message.ts";
import { isObject, parseExactly, scanJson } from "#src/json.ts";
import { Failure } from "#src/failure.ts";
import { readBounded } from "#src/http/body.ts";
import { within } from "#src/clock.ts";
import { version } from "#src/runtime/runtime.ts";
import { answerIn } from "./message-in.ts";

type Asked = {
  readonly request: Request;
  readonly requestId: string;
  readonly address: () => string;
};

/** The MCP server that is meant, and the address of ours that stands for it. */
type Place = { readonly upstream: Upstream; readonly path: string };

/** With what ends it: its client has left, or it has taken too long. */
type PlainRequest = Asked & { readonly place: Place; readonly leaving: AbortSignal };

type Message = Readonly<Record<string, unknown>>;

const [modernVersion, olderVersion] = ["2026-07-28", "2025-06-18"];
const unsupportedVersion = -32_022;
const client = { name: "smartdash-node", version: version.number };

/** A request of MCP that stands for itself: its method, its parameters, and what it is about. */
type Use = { readonly method: string; readonly params: Message; readonly about: string };

/**
 * `{"name": …, "arguments": …}` as a call of a tool. The answer is the tool's result.
 * Failures: `body_unreadable`, `body_too_large`, `message_invalid`; and see `inTime`.
 */
export async function callPlainly(app: McpDeps, asked: Asked, place: Place): Promise<Response> {
  const text = Buffer.from(await readBounded(asked.request, mostBodyBytes)).toString("utf8");
  scanJson(text);
  let body: unknown;
  try {
    body = parseExactly(text);
  } catch {
    throw new Failure("body_unreadable");
  }
  const { name, arguments: given = {} } = isObject(body) ? body : {};
  if (typeof name !== "string" || !isObject(given)) {
    throw new Failure("message_invalid", 'Send {"name": "…", "arguments": {…}}');
  }
  const params = { name, arguments: given };
  return await inTime(app, { ...asked, place }, { method: "tools/call", params, about: name });
}

/**
 * A resource by the percent-encoded URI behind `/resources/`.
 * Failures: `message_invalid`; and see `inTime`.
 */
export async function readPlainly(app: McpDeps, asked: Asked, place: Place): Promise<Response> {
  const uri = uriIn(asked.request.url);
  if (uri === undefined) {
    throw new Failure("message_invalid", "Put the percent-encoded URI behind /resources/");
  }
  return await inTime(
    app,
    { ...asked, place },
    { method: "resources/read", params: { uri }, about: uri },
  );
}

function uriIn(url: string): string | undefined {
  const encoded = /\/resources\/([^?#]+)/.exec(url)?.[1];
  try {
    return encoded === undefined ? undefined : decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

/** A page may take a minute. */
const longestMs = 50_000;

/** The whole of it within 50 seconds, and nothing of it afterwards. Failures: `upstream_timeout`; and see `ask`. */
async function inTime(
  app: McpDeps,
  asked: Omit<PlainRequest, "leaving">,
  use: Use,
): Promise<Response> {
  const late = new AbortController();
  const leaving = AbortSignal.any([asked.request.signal, late.signal]);
  return await within(longestMs, ask(app, { ...asked, leaving }, use), () => {
    late.abort();
    return new Failure("upstream_timeout");
  });
}

/**
 * Asks with this bearer and under every guard. The answer is the result, or
 * `{"error": …}` with the JSON-RPC error.
 * MCP 2026-07-28 first; an upstream that does not speak it gets a session of its own, for this request alone.
 * Failures: `upstream_invalid`.
 */
async function ask(app: McpDeps, asked: PlainRequest, use: Use): Promise<Response> {
  const { method, params, about } = use;
  const meta = {
    "io.modelcontextprotocol/protocolVersion": modernVersion,
    "io.modelcontextprotocol/clientInfo": client,
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const modern = await exchange(app, asked, {
    message: { id: 1, method, params: { ...params, _meta: meta } },
    headers: {
      "mcp-protocol-version": modernVersion,
      "mcp-method": method,
      "mcp-name": `=?base64?${Buffer.from(about).toString("base64")}?=`,
    },
  });
  return told(isOfOlderEra(modern) ? await askInSession(app, asked, use) : modern);
}

type Exchanged = {
  readonly status: number;
  readonly message: Message | undefined;
  readonly session: string | null;
};

type Sent = {
  /** Absent where a session ends. */
  readonly message?: Message;
  readonly headers: Readonly<Record<string, string>>;
};

/** What an MCP client sends, and what it gets. */
async function exchange(app: McpDeps, asked: PlainRequest, sent: Sent): Promise<Exchanged> {
  const { upstream, path } = asked.place;
  const headers = new Headers({
    ...sent.headers,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    host: asked.request.headers.get("host") ?? "",
  });
  const bearer = asked.request.headers.get("authorization");
  if (bearer !== null) headers.set("authorization", bearer);
  const { message } = sent;
  const body = message === undefined ? null : JSON.stringify({ jsonrpc: "2.0", ...message });
  const method = body === null ? "DELETE" : "POST";
  const { requestId, address, leaving } = asked;
  const init = { method, headers, body, signal: leaving };
  const request = new Request(new URL(path, asked.request.url), init);
  const route = { kind: "call", upstream } as const;
  const answer = await answerMcp(app, request, route, { path, requestId, address });
  return {
    status: answer.status,
    message: await answerIn(answer, message?.["id"], leaving),
    session: answer.headers.get("mcp-session-id"),
  };
}

/** What the upstream itself says to a message that it has not even looked at. */
function isOfOlderEra({ status, message }: Exchanged): boolean {
  const error = message?.["error"];
  if (!isObject(error)) return status === 400;
  const isOurs = isObject(error["data"]) && "code" in error["data"];
  return !isOurs && (error["code"] === unsupportedVersion || status === 400);
}

/** MCP before 2026-07-28: `initialize` first, whether the upstream keeps sessions or not. */
async function askInSession(
  app: McpDeps,
  asked: PlainRequest,
  { method, params }: Use,
): Promise<Exchanged> {
  const hello = { protocolVersion: olderVersion, capabilities: {}, clientInfo: client };
  const begun = await exchange(app, asked, {
    message: { id: 1, method: "initialize", params: hello },
    headers: {},
  });
  if (begun.message?.["result"] === undefined) return begun;
  const headers = {
    "mcp-protocol-version": olderVersion,
    ...(begun.session === null ? {} : { "mcp-session-id": begun.session }),
  };
  try {
    await exchange(app, asked, { message: { method: "notifications/initialized" }, headers });
    return await exchange(app, asked, { message: { id: 2, method, params }, headers });
  } finally {
    // Servers keep what nobody ends.
    if (begun.session !== null) await exchange(app, asked, { headers });
  }
}

function told({ status, message }: Exchanged): Response {
  const headers = { "cache-control": "no-store" };
  const { result, error } = message ?? {};
  if (result !== undefined) return Response.json(result, { headers });
  const said = error ?? { message: "The MCP server gave no answer" };
  return Response.json({ error: said }, { status: status < 400 ? 502 : status, headers });
}
