import { createRequestStateCodec, McpServer } from "@modelcontextprotocol/server";

import { addDiagnosticTools, type ListChanges } from "./fixture-diagnostics.ts";
import { addInputTools } from "./fixture-input.ts";
import { addPrompts } from "./fixture-prompts.ts";
import { addResources } from "./fixture-resources.ts";
import { addSchemaTools } from "./fixture-schemas.ts";
import { addContentTools } from "./fixture-tools.ts";

/** One server with every name the suite expects; both eras are served from the same handlers. */
export function buildFixtureServer(changes: ListChanges): McpServer {
  const states = createRequestStateCodec<string>({
    key: "a fixed key, so that every process of the fixture agrees",
  });
  const server = new McpServer(
    { name: "smartdash-conformance-fixture", version: "1.0.0" },
    {
      capabilities: { logging: {}, completions: {}, resources: { subscribe: true } },
      requestState: { verify: (state, ctx) => states.verify(state, ctx) },
    },
  );
  // The suite calls the first tool of the list without arguments: content tools come first.
  addContentTools(server);
  addDiagnosticTools(server, changes);
  addSchemaTools(server);
  addInputTools(server, states);
  addResources(server);
  addPrompts(server);
  return server;
}

/** `resources/subscribe` and `resources/unsubscribe`, which 2026-07-28 no longer has. */
export function serveSubscriptions(server: McpServer): void {
  const watched = new Set<string>();
  server.server.setRequestHandler("resources/subscribe", ({ params }) => {
    watched.add(params.uri);
    return {};
  });
  server.server.setRequestHandler("resources/unsubscribe", ({ params }) => {
    watched.delete(params.uri);
    return {};
  });
}
