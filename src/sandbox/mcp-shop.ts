import { setTimeout as sleep } from "node:timers/promises";
import { McpServer, ResourceTemplate, fromJsonSchema } from "@modelcontextprotocol/server";
import type { Seller } from "./sellers.ts";

const items = [
  { id: "MLA1001", title: "Mate imperial de alpaca", price: 48_000, stock: 12 },
  { id: "MLA1002", title: "Termo de acero 1 L", price: 65_500, stock: 3 },
  { id: "MLA1003", title: "Bombilla pico de loro", price: 9_900, stock: 40 },
] as const;

const orders = [
  { id: "2000001", item: "MLA1002", quantity: 1, status: "paid" },
  { id: "2000002", item: "MLA1001", quantity: 2, status: "shipped" },
] as const;

/** One seller's shop as an MCP server: tools that read and write, progress, resources, a prompt. */
export function buildShopServer(seller: Seller): McpServer {
  const server = new McpServer(
    { name: "smartdash-sandbox-shop", version: "1.0.0" },
    {
      capabilities: { logging: {} },
      instructions: "A simulated shop. Nothing here is real.",
    },
  );
  addReadingTools(server, seller);
  addWritingTools(server);
  addRunningTools(server);
  addResourcesAndPrompts(server, seller);
  return server;
}

function addReadingTools(server: McpServer, seller: Seller): void {
  const annotations = { readOnlyHint: true };
  server.registerTool(
    "whoami",
    { description: "The seller behind this connection", annotations },
    () => json(seller),
  );
  server.registerTool("list_items", { description: "Everything on sale", annotations }, () =>
    json(items),
  );
  server.registerTool("list_orders", { description: "The latest orders", annotations }, () =>
    json(orders),
  );
  const inputSchema = fromJsonSchema<{ text: string }>({
    type: "object",
    properties: { text: { type: "string" } },
    required: ["text"],
  });
  server.registerTool(
    "echo",
    { description: "Returns the text", annotations, inputSchema },
    ({ text }) => ({
      content: [{ type: "text", text }],
    }),
  );
}

function addWritingTools(server: McpServer): void {
  const inputSchema = fromJsonSchema<{ question_id: string; text: string }>({
    type: "object",
    properties: { question_id: { type: "string" }, text: { type: "string", maxLength: 2000 } },
    required: ["question_id", "text"],
  });
  const annotations = { readOnlyHint: false, destructiveHint: false };
  server.registerTool(
    "answer_question",
    { description: "Answers a buyer's question", inputSchema, annotations },
    ({ question_id, text }) => json({ question_id, text, status: "ANSWERED" }),
  );
  server.registerTool(
    "close_listing",
    {
      description: "Takes an item off the market for good",
      inputSchema: fromJsonSchema<{ item_id: string }>({
        type: "object",
        properties: { item_id: { type: "string" } },
        required: ["item_id"],
      }),
      annotations: { readOnlyHint: false, destructiveHint: true },
    },
    ({ item_id }) => json({ item_id, status: "closed" }),
  );
}

const steps = 5;
const stepMs = 200;

function addRunningTools(server: McpServer): void {
  server.registerTool(
    "recount_stock",
    { description: "Recounts the stock and reports progress while it runs" },
    async (context) => {
      // oxlint-disable-next-line no-underscore-dangle -- the protocol's own name
      const progressToken = context.mcpReq._meta?.progressToken;
      for (let progress = 1; progress <= steps; progress++) {
        await sleep(stepMs, undefined, { signal: context.mcpReq.signal });
        if (progressToken === undefined) continue;
        const params = { progressToken, progress, total: steps };
        await context.mcpReq.notify({ method: "notifications/progress", params });
      }
      return json({ counted: items.length });
    },
  );
}

function addResourcesAndPrompts(server: McpServer, seller: Seller): void {
  server.registerResource("shop", "shop://about", { mimeType: "application/json" }, ({ href }) => ({
    contents: [{ uri: href, mimeType: "application/json", text: JSON.stringify(seller) }],
  }));
  const template = new ResourceTemplate("shop://items/{id}", { list: undefined });
  server.registerResource("item", template, { mimeType: "application/json" }, (uri, { id }) => {
    const item = items.find((each) => each.id === id);
    return {
      contents: [
        { uri: uri.href, mimeType: "application/json", text: JSON.stringify(item ?? null) },
      ],
    };
  });
  server.registerPrompt("daily_report", { description: "Sum up the day of this shop" }, () => ({
    messages: [
      {
        role: "user",
        content: {
          type: "text",
          text: `Sum up today's orders of ${seller.name} and what is low on stock.`,
        },
      },
    ],
  }));
}

function json(value: unknown) {
  return { content: [{ type: "text" as const, text: JSON.stringify(value) }] };
}
