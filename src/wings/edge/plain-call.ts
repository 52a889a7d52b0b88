import { mcpPaths } from "#src/catalog/mcp-paths.ts";
import { type McpServing, answerMcp } from "#src/calls/routes.ts";
import { mostBodyBytes } from "#src/calls/message.ts";
import { isObject } from "#src/config/read.ts";
import { parseExactly } from "#src/crypto/canonical-json.ts";
import { checkKeys } from "#src/calls/json-keys.ts";
import { Failure } from "#src/failure.ts";
import { readBounded } from "#src/http/body.ts";
import { version } from "#src/runtime/version.ts";
import { answerIn } from "./message-in.ts";

type Asked = {
  readonly request: Request;
  readonly requestId: string;
  readonly address: () => string;
};

type Message = Readonly<Record<string, unknown>>;

const [modernVersion, olderVersion] = ["2026-07-28", "2025-06-18"];
const unsupportedVersion = -32_022;
const client = { name: "smartdash-node", version: version.number };

/**
 * `{"name": …, "arguments": …}` as a call of a tool at the default upstream: with this bearer, under the same
 * guards as any other call. The answer is the tool's result, or `{"error": …}` with the JSON-RPC error.
 * MCP 2026-07-28 first; an upstream that does not speak it gets a session of its own, for this call alone.
 * Failures: `body_unreadable`, `body_too_large`, `message_invalid`.
 */
export async function callPlainly(app: McpServing, asked: Asked): Promise<Response> {
  const params = await readUse(asked.request);
  const meta = {
    "io.modelcontextprotocol/protocolVersion": modernVersion,
    "io.modelcontextprotocol/clientInfo": client,
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const modern = await exchange(app, asked, {
    message: { id: 1, method: "tools/call", params: { ...params, _meta: meta } },
    headers: {
      "mcp-protocol-version": modernVersion,
      "mcp-method": "tools/call",
      "mcp-name": `=?base64?${Buffer.from(params.name).toString("base64")}?=`,
    },
  });
  return told(isOfOlderEra(modern) ? await callInSession(app, asked, params) : modern);
}

type Use = { readonly name: string; readonly arguments: unknown };

async function readUse(request: Request): Promise<Use> {
  const text = Buffer.from(await readBounded(request, mostBodyBytes)).toString("utf8");
  let body: unknown;
  try {
    body = parseExactly(text);
  } catch {
    throw new Failure("body_unreadable");
  }
  checkKeys(text);
  const { name, arguments: given = {} } = isObject(body) ? body : {};
  if (typeof name === "string" && isObject(given)) return { name, arguments: given };
  throw new Failure("message_invalid", 'Send {"name": "…", "arguments": {…}}');
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

/** One MCP exchange as any client would have it. */
async function exchange(app: McpServing, asked: Asked, sent: Sent): Promise<Exchanged> {
  const { upstream, path } = defaultPlace(app);
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
  const { signal } = asked.request;
  const request = new Request(new URL(path, asked.request.url), { method, headers, body, signal });
  const { requestId, address } = asked;
  const route = { kind: "call", upstream } as const;
  const answer = await answerMcp(app, request, { route, path, requestId, address });
  return {
    status: answer.status,
    message: await answerIn(answer, message?.["id"]),
    session: answer.headers.get("mcp-session-id"),
  };
}

function defaultPlace(app: McpServing) {
  const path = "/mcp";
  const upstream = mcpPaths(app.catalog).get(path);
  if (upstream === undefined) throw new Failure("not_found");
  return { upstream, path };
}

/** What the upstream itself says to a message that it has not even looked at. */
function isOfOlderEra({ status, message }: Exchanged): boolean {
  const error = message?.["error"];
  if (!isObject(error)) return status === 400;
  const isOurs = isObject(error["data"]) && "code" in error["data"];
  return !isOurs && (error["code"] === unsupportedVersion || status === 400);
}

/** MCP before 2026-07-28: `initialize` first, whether the upstream keeps sessions or not. */
async function callInSession(app: McpServing, asked: Asked, params: Use): Promise<Exchanged> {
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
  await exchange(app, asked, { message: { method: "notifications/initialized" }, headers });
  const call = { id: 2, method: "tools/call", params };
  const called = await exchange(app, asked, { message: call, headers });
  // Servers keep what nobody ends.
  if (begun.session !== null) await exchange(app, asked, { headers });
  return called;
}

function told({ status, message }: Exchanged): Response {
  const headers = { "cache-control": "no-store" };
  const { result, error } = message ?? {};
  if (result !== undefined) return Response.json(result, { headers });
  const said = error ?? { message: "The MCP server gave no answer" };
  return Response.json({ error: said }, { status: status < 400 ? 502 : status, headers });
}
