import type { App } from "#src/app.ts";
import { type CapabilityDocument, capabilitiesOf } from "./capabilities.ts";
import { type Node, ownNode } from "./identity.ts";
import { ownResources, ownTools } from "./own-tools.ts";

/** Who we are for other nodes. */
export type Self = {
  readonly node: Node;
  readonly fleetKey: Uint8Array | undefined;
  readonly document: () => CapabilityDocument;
  readonly now: () => Date;
};

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
