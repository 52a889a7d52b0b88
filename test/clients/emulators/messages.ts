import { isObject } from "#src/json.ts";

export const modernRevision = "2026-07-28";

/** A message with the headers of its protocol era. */
type Sent = {
  readonly message: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
};

export function initialize(revision: string): Sent {
  const params = {
    protocolVersion: revision,
    capabilities: {},
    clientInfo: { name: "emulator", version: "1.0.0" },
  };
  return { message: { jsonrpc: "2.0", id: 0, method: "initialize", params }, headers: {} };
}

/** What a legacy client sends within its session. */
export function inSession(
  method: string,
  session: { readonly revision: string; readonly id: string | null },
  params: Readonly<Record<string, unknown>> = {},
): Sent {
  const isNotification = method.startsWith("notifications/");
  return {
    message: { jsonrpc: "2.0", ...(isNotification ? {} : { id: 1 }), method, params },
    headers: {
      // 2025-03-26 and before know no such header.
      ...(session.revision >= "2025-06-18" ? { "mcp-protocol-version": session.revision } : {}),
      ...(session.id === null ? {} : { "mcp-session-id": session.id }),
    },
  };
}

export function modern(method: string, params: Readonly<Record<string, unknown>> = {}): Sent {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": modernRevision,
    "io.modelcontextprotocol/clientInfo": { name: "emulator", version: "1.0.0" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const { name } = params;
  return {
    message: { jsonrpc: "2.0", id: 2, method, params: { ...params, _meta: meta } },
    headers: {
      "mcp-protocol-version": modernRevision,
      "mcp-method": method,
      ...(typeof name === "string" ? { "mcp-name": name } : {}),
    },
  };
}

/** The result in an answer, whether it came as JSON or as an event. */
export async function resultOf(answer: Response): Promise<Readonly<Record<string, unknown>>> {
  const text = await answer.text();
  const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const events = [...text.matchAll(/^data: ?(.+)$/gm)].map((match) => match[1] ?? "");
  for (const each of isStream ? events : [text]) {
    const message: unknown = JSON.parse(each);
    if (isObject(message) && isObject(message["result"])) return message["result"];
  }
  throw new Error(`${answer.status} without a result: ${text}`);
}

export function toolNamesIn(result: Readonly<Record<string, unknown>>): readonly string[] {
  const tools: unknown = result["tools"];
  if (!Array.isArray(tools)) throw new Error("no tools");
  return tools.map((tool: unknown) => String(isObject(tool) ? tool["name"] : undefined));
}
