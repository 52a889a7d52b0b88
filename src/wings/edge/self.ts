import type { App } from "#src/app.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { ownNode } from "./identity.ts";
import { ownResources, ownTools } from "./own-tools.ts";
import type { Self } from "./peers/meet.ts";

/** Who this node is for others, for a command: its gateway may run elsewhere. Failures: `home_unusable`. */
export function selfOf(app: Pick<App, "config" | "seal" | "now" | "publicUrl">): Self {
  const node = ownNode(app);
  const facts = { listenAddresses: [], tools: ownTools, resources: ownResources };
  const startedAt = app.now().getTime();
  return {
    node,
    fleetKey: app.config.edge.fleetKey,
    document: () => capabilitiesOf(app, node, { startedAt, ...facts }),
    now: app.now,
  };
}
