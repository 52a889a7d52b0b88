import { McpServer, ResourceTemplate, createMcpHandler } from "@modelcontextprotocol/server";
import { levels } from "#src/telemetry/log.ts";
import { version } from "#src/runtime/runtime.ts";
import type { LogTail } from "./log-tail.ts";

/** What the node tells about itself. */
export type OwnFacts = {
  readonly status: () => Promise<object>;
  readonly peers: () => Promise<object>;
  readonly logs: LogTail;
};

/** The node's own MCP server, in both eras; every request stands for itself. */
export function createOwnServer(facts: OwnFacts) {
  return createMcpHandler(() => build(facts));
}

function build(facts: OwnFacts): McpServer {
  const server = new McpServer(
    { name: "smartdash-node", version: version.number },
    { instructions: "The gateway itself: how it is, which nodes it knows, what it has logged." },
  );
  const annotations = { readOnlyHint: true, openWorldHint: false };
  server.registerTool(
    "get_status",
    { description: "How this node is: version, uptime, open streams, database", annotations },
    async () => toolAnswer(await facts.status()),
  );
  server.registerTool(
    "list_peers",
    { description: "The nodes that this node knows, and which of them it trusts", annotations },
    async () => toolAnswer(await facts.peers()),
  );
  addResources(server, facts);
  return server;
}

function addResources(server: McpServer, { logs, peers }: OwnFacts): void {
  const mimeType = "application/json";
  server.registerResource(
    "peers",
    "edge-hive://peers",
    { title: "Nodes that this node knows", mimeType },
    async ({ href: uri }) => ({
      contents: [{ uri, mimeType, text: JSON.stringify(await peers()) }],
    }),
  );
  const list = () => ({
    resources: ["all", ...levels].map((name) => ({ name, uri: `edge-hive://logs/${name}` })),
  });
  const complete = { level: () => ["all", ...levels] };
  server.registerResource(
    "logs",
    new ResourceTemplate("edge-hive://logs/{level}", { list, complete }),
    { title: "The last lines of the log, without secrets", mimeType: "text/plain" },
    ({ href: uri }, { level }) => {
      const lines = logs.lines(level === "all" ? undefined : String(level));
      return { contents: [{ uri, mimeType: "text/plain", text: lines.join("\n") }] };
    },
  );
}

function toolAnswer(facts: object) {
  const text = JSON.stringify(facts);
  return {
    content: [{ type: "text" as const, text }],
    structuredContent: { ...facts },
  };
}
