import type { McpServing } from "#src/calls/routes.ts";
import { Failure } from "#src/failure.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { ownNode } from "./identity.ts";
import { callPlainly } from "./plain-call.ts";

/** The edge wing of a serving gateway. Failures: `home_unusable`. */
export function openEdge(app: McpServing) {
  const node = ownNode(app);
  const startedAt = app.now().getTime();
  app.log.info("edge_node", { nodeId: node.nodeId, peerId: node.peerId });
  return {
    mount(routes: PageRoutes): void {
      // Also of addresses that the core serves for any name when nothing of this is switched on.
      routes.use("/mcp/node/:node_id/*", async ({ req }, next) => {
        if (req.param("node_id") !== node.nodeId) throw new Failure("node_unknown");
        await next();
      });
      routes.get("/mcp/node/:node_id/info", () => {
        const headers = { "cache-control": "no-store" };
        return Response.json(capabilitiesOf(app, node, startedAt), { headers });
      });
      for (const path of ["/mcp/node/:node_id/tools/call", "/mcp/tools/call"]) {
        routes.post(path, ({ req, env }) => callPlainly(app, { request: req.raw, ...env }));
      }
    },
  };
}
