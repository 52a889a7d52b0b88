import type { Reader } from "./read.ts";

const ways = ["mdns", "libp2p"] as const;

/** How this gateway is a node among others. */
export type EdgeConfig = {
  readonly isOn: boolean;
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
    discovery: discoveryFrom(read),
    interface: read.text("SMARTDASH_EDGE_INTERFACE"),
    listen: multiaddrs(read, "SMARTDASH_EDGE_LISTEN"),
    bootstrap: multiaddrs(read, "SMARTDASH_EDGE_BOOTSTRAP").slice(0, mostBootstrap),
    fleetKey,
  };
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
