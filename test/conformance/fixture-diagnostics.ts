import { inputRequired, inputResponse, type McpServer } from "@modelcontextprotocol/server";

import { text } from "./fixture-tools.ts";

/** How a server tells its clients that a list has changed; it differs between the eras. */
export type ListChanges = { toolsChanged(): void; promptsChanged(): void };

/** The tools that speak while they run: logs, progress, a dropped stream, list changes. */
export function addDiagnosticTools(server: McpServer, changes: ListChanges): void {
  for (const name of ["test_tool_with_logging", "test_logging_tool"]) {
    server.registerTool(name, { description: "Logs three lines" }, async (ctx) => {
      await ctx.mcpReq.log("info", "Tool execution started");
      await ctx.mcpReq.log("info", "Tool processing data");
      await ctx.mcpReq.log("info", "Tool execution completed");
      return text("Logged three lines");
    });
  }

  server.registerTool(
    "test_tool_with_progress",
    { description: "Reports progress in three steps" },
    async (ctx) => {
      // oxlint-disable-next-line no-underscore-dangle -- the protocol's own name
      const progressToken = ctx.mcpReq._meta?.progressToken;
      for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
        const params = { progressToken, progress, total: 100 };
        await ctx.mcpReq.notify({ method: "notifications/progress", params });
      }
      return text("Reported progress");
    },
  );

  server.registerTool(
    "test_reconnection",
    { description: "Drops its own stream; the result waits for a GET with Last-Event-ID" },
    (ctx) => {
      ctx.http?.closeSSE?.();
      return text("Delivered after the reconnection");
    },
  );

  server.registerTool(
    "test_trigger_tool_change",
    { description: "Announces that the list of tools has changed" },
    () => {
      changes.toolsChanged();
      return text("Announced");
    },
  );
  server.registerTool(
    "test_trigger_prompt_change",
    { description: "Announces that the list of prompts has changed" },
    () => {
      changes.promptsChanged();
      return text("Announced");
    },
  );

  server.registerTool(
    "test_missing_capability",
    { description: "Needs a client that can sample" },
    (ctx) => {
      const answer = inputResponse(ctx.mcpReq.inputResponses, "sample");
      if (answer.kind === "sampling") return text("Sampled");
      const sample = inputRequired.createMessage({
        messages: [{ role: "user", content: { type: "text", text: "Say hello" } }],
        maxTokens: 10,
      });
      return inputRequired({ inputRequests: { sample } });
    },
  );
}
