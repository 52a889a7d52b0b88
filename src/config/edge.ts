import type { Reader } from "./read.ts";

const ways = ["mdns", "libp2p"] as const;

/** How this gateway is a node among others. */
export type EdgeConfig = {
  readonly isOn: boolean;
  /** What the operator calls the node. */
  readonly name: string | undefined;
  readonly discovery: ReadonlySet<(typeof ways)[number]>;
  /** Address of the interface that mDNS uses. */
  readonly interface: string | undefined;
  /** Multiaddrs. */
  readonly listen: readonly string[];
  readonly bootstrap: readonly string[];
  /** What the nodes of a fleet share. */
  readonly fleetKey: Uint8Array | undefined;
};

const mostBootstrap = 32;

export function edgeFrom(read: Reader): EdgeConfig {
  const [fleetKey] = read.keys("SMARTDASH_FLEET_KEY");
  return {
    isOn: read.flag("SMARTDASH_EDGE"),
    name: nameFrom(read),
    discovery: discoveryFrom(read),
    interface: read.text("SMARTDASH_EDGE_INTERFACE"),
    listen: multiaddrs(read, "SMARTDASH_EDGE_LISTEN"),
    bootstrap: multiaddrs(read, "SMARTDASH_EDGE_BOOTSTRAP").slice(0, mostBootstrap),
    fleetKey,
  };
}

/** A label of a host name (RFC 1123 section 2.1). */
export const nodeAlias = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** As names that come from a key look. */
const derived = /^[a-z]+-[a-z]+-[\da-f]{6}$/;

/** Whether an operator may call a node so: a name that looks like a key's is that node's alone. */
export function isOwnName(name: string): boolean {
  return nodeAlias.test(name) && !derived.test(name);
}

function nameFrom(read: Reader): string | undefined {
  const name = read.text("EDGE_NODE_NAME")?.toLowerCase();
  if (name === undefined || isOwnName(name)) return name;
  const message = derived.test(name)
    ? "looks like a name that comes from another node's key"
    : "must be letters, digits and hyphens, 63 at most";
  read.problems.push({ setting: "EDGE_NODE_NAME", message });
  return undefined;
}

function discoveryFrom(read: Reader): EdgeConfig["discovery"] {
  const name = "SMARTDASH_EDGE_DISCOVERY";
  const given = read.list(name);
  if (given.length === 1 && given[0] === "none") return new Set();
  if (!given.every((each) => ways.some((way) => way === each))) {
    read.problems.push({ setting: name, message: `must be ${ways.join(", ")}, or none` });
  }
  return new Set(ways.filter((way) => given.includes(way)));
}

function multiaddrs(
  read: Reader,
  name: "SMARTDASH_EDGE_LISTEN" | "SMARTDASH_EDGE_BOOTSTRAP",
): readonly string[] {
  const given = read.list(name);
  if (!given.every((each) => /^(\/[\w.:%-]+)+$/.test(each))) {
    read.problems.push({ setting: name, message: "must be multiaddrs such as /ip4/…/tcp/4001" });
  }
  return given;
}
