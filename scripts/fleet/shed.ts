import { McpServer, createMcpHandler, fromJsonSchema } from "@modelcontextprotocol/server";

/** An MCP server on loopback that only one node of the fleet has behind it. */
export type Shed = { readonly url: string; stop(): Promise<void> };

const tools = ["hammer", "saw", "ladder"];

export function startShed(): Shed {
  const handler = createMcpHandler(build);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => handler.fetch(request),
  });
  return {
    url: `http://127.0.0.1:${server.port}/`,
    stop: async () => {
      await handler.close();
      await server.stop(true);
    },
  };
}

function build(): McpServer {
  const server = new McpServer({ name: "shed", version: "1.0.0" });
  server.registerTool(
    "fetch_tool",
    {
      description: "Fetches something from the shed",
      annotations: { readOnlyHint: true },
      inputSchema: fromJsonSchema<{ name: string }>({
        type: "object",
        properties: { name: { type: "string", enum: tools } },
        required: ["name"],
      }),
    },
    ({ name }) => ({ content: [{ type: "text", text: `Here is the ${name}.` }] }),
  );
  return server;
}
