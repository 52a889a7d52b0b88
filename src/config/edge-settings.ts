import type { Setting } from "./setting.ts";

/** The wing of edge nodes: gateways that know each other. */
export const edgeSettings = {
  SMARTDASH_EDGE: {
    kind: "flag",
    default: "off",
    doc: "Makes this gateway a node: `/mcp/node/…`, `/mcp/tools/call`, `/discovery/…`, and an MCP server of its own named `node` ([edge.md](edge.md)). Off, nothing of it is loaded.",
  },
  EDGE_NODE_NAME: {
    kind: "text",
    doc: "A name of your own for this node, beside the one that comes from its key: `/mcp/node/node-1/info`. Lower-case letters, digits and hyphens.",
  },
  SMARTDASH_EDGE_DISCOVERY: {
    kind: "list",
    default: "mdns",
    doc: "How a node looks for others: `mdns` (the local network), `libp2p` (TCP, Noise, Kademlia), both separated by a comma, or `none`. What is found is a hint, and never trusted for that.",
  },
  SMARTDASH_EDGE_INTERFACE: {
    kind: "text",
    doc: "Address of the one network interface that mDNS uses, e.g. `192.168.1.100`. Default: as the system chooses.",
  },
  SMARTDASH_EDGE_LISTEN: {
    kind: "list",
    default: "/ip4/0.0.0.0/tcp/4001",
    doc: "Multiaddrs on which libp2p listens, comma separated; with `/ip4/0.0.0.0/udp/4001/quic-v1` also QUIC.",
  },
  SMARTDASH_EDGE_BOOTSTRAP: {
    kind: "list",
    doc: "Multiaddrs of nodes that are in the DHT already, comma separated: `/ip4/192.168.1.100/tcp/4001/p2p/12D3KooW…`.",
  },
  SMARTDASH_FLEET_KEY: {
    kind: "keys",
    secret: true,
    doc: "32 bytes that the nodes of one fleet share, in any form that ENCRYPTION_KEY takes. Who has it is trusted without `smartdash peers trust`; to put a node out, change it everywhere.",
  },
} as const satisfies Readonly<Record<string, Setting>>;
