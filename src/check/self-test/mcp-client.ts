import { localFetch } from "./visitor.ts";

/** How an MCP client asks. */
type ClientShape = {
  readonly name: string;
  /** `initialize` with a session before anything else, or the stateless revision of 2026-07-28. */
  readonly era: "legacy" | "modern";
  readonly protocolVersion: string;
  readonly userAgent: string;
};

/** The clients of docs/clients.md, as they introduce themselves. */
export const clientShapes: readonly ClientShape[] = [
  shape("Antigravity", "legacy", "2025-06-18", "antigravity/1.0"),
  shape("Claude", "legacy", "2025-11-25", "Claude-User"),
  shape("ChatGPT", "legacy", "2025-06-18", "openai-mcp/1.0.0"),
  shape("Cursor", "legacy", "2025-06-18", "Cursor/1.0"),
  shape("VS Code", "modern", "2026-07-28", "Visual Studio Code/1.0"),
  shape("own script", "modern", "2026-07-28", "curl/8"),
];

function shape(
  name: string,
  era: ClientShape["era"],
  protocolVersion: string,
  userAgent: string,
): ClientShape {
  return { name, era, protocolVersion, userAgent };
}

const limitMs = 10_000;

type Message = {
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
};

/** Posts one JSON-RPC message with a bearer; ten seconds. */
export function send(
  url: string,
  bearer: string,
  message: Message & { readonly id?: number },
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return localFetch(url, {
    method: "POST",
    signal: AbortSignal.timeout(limitMs),
    headers: {
      authorization: `Bearer ${bearer}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: "2.0", ...message }),
  });
}

/** How many tools a client of this shape is told about. Failures: an error that says what was answered instead. */
export async function listTools(url: string, bearer: string, client: ClientShape): Promise<number> {
  const agent = { "user-agent": client.userAgent };
  const text =
    client.era === "modern"
      ? await listModern(url, bearer, { client, agent })
      : await listLegacy(url, bearer, { client, agent });
  const tools = /"tools":\[.*"name":/s.test(text) ? (text.match(/"inputSchema"/g)?.length ?? 0) : 0;
  if (tools === 0) throw new Error(`no tools in ${text.slice(0, 120)}`);
  return tools;
}

type AskOptions = {
  readonly client: ClientShape;
  readonly agent: Readonly<Record<string, string>>;
};

async function listModern(
  url: string,
  bearer: string,
  { client, agent }: AskOptions,
): Promise<string> {
  const about = {
    "io.modelcontextprotocol/protocolVersion": client.protocolVersion,
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const headers = {
    ...agent,
    "mcp-protocol-version": client.protocolVersion,
    "mcp-method": "tools/list",
  };
  const message = { id: 1, method: "tools/list", params: { _meta: about } };
  return await textOf(await send(url, bearer, message, headers));
}

async function listLegacy(
  url: string,
  bearer: string,
  { client, agent }: AskOptions,
): Promise<string> {
  const { protocolVersion } = client;
  const clientInfo = { name: client.name, version: "1.0" };
  const params = { protocolVersion, capabilities: {}, clientInfo };
  const begun = await send(url, bearer, { id: 1, method: "initialize", params }, agent);
  const session = begun.headers.get("mcp-session-id");
  await textOf(begun);
  const headers = {
    ...agent,
    "mcp-protocol-version": protocolVersion,
    ...(session === null ? {} : { "mcp-session-id": session }),
  };
  await textOf(await send(url, bearer, { method: "notifications/initialized" }, headers));
  return await textOf(await send(url, bearer, { id: 2, method: "tools/list" }, headers));
}

async function textOf(answer: Response): Promise<string> {
  const text = await answer.text();
  if (answer.ok) return text;
  throw new Error(`HTTP ${answer.status}: ${text.slice(0, 200)}`);
}
