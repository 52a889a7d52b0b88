import type { McpServing } from "#src/calls/routes.ts";
import { Failure } from "#src/failure.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { ownNode } from "./identity.ts";
import { callPlainly, readPlainly } from "./plain-requests.ts";

const saidForMs = 5000;

/** The edge wing of a serving gateway. Failures: `home_unusable`. */
export function openEdge(app: McpServing) {
  const node = ownNode(app);
  const startedAt = app.now().getTime();
  app.log.info("edge_node", { nodeId: node.nodeId, peerId: node.peerId });
  let said = capabilitiesOf(app, node, startedAt);
  let saidAt = startedAt;
  /** Anybody may ask: it is signed every few seconds, not each time. */
  const capabilities = () => {
    const now = app.now().getTime();
    if (now - saidAt >= saidForMs) [said, saidAt] = [capabilitiesOf(app, node, startedAt), now];
    return said;
  };
  return {
    mount(routes: PageRoutes): void {
      // Also of addresses that the core serves for any name when nothing of this is switched on.
      routes.use("/mcp/node/:node_id/*", async ({ req }, next) => {
        if (req.param("node_id") !== node.nodeId) throw new Failure("node_unknown");
        await next();
      });
      routes.get("/mcp/node/:node_id/info", () => {
        const headers = { "cache-control": "no-store" };
        return Response.json(capabilities(), { headers });
      });
      routes.get("/mcp/node/:node_id/resources/*", ({ req, env }) =>
        readPlainly(app, { request: req.raw, ...env }),
      );
      for (const path of ["/mcp/node/:node_id/tools/call", "/mcp/tools/call"]) {
        routes.post(path, ({ req, env }) => callPlainly(app, { request: req.raw, ...env }));
      }
    },
  };
}
