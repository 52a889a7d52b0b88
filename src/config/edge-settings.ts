import type { Setting } from "./setting.ts";

/** The wing of edge nodes: gateways that know each other. */
export const edgeSettings = {
  SMARTDASH_EDGE: {
    kind: "flag",
    default: "off",
    doc: "Serves the addresses of a node (`/mcp/node/NODE_ID/…`). Off, nothing of it is loaded.",
  },
} as const satisfies Readonly<Record<string, Setting>>;
