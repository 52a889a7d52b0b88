/** A way in which nodes find each other. */
export type DiscoveryBackend = {
  readonly name: "mdns" | "libp2p";
  /** Says that we are here, and asks who is. */
  announce(): void;
  /** Looks for one node and, when it is there, writes down where. */
  seek?(peerId: string): Promise<boolean>;
  /** Multiaddrs under which others reach this node. */
  addresses?(): readonly string[];
  stop(): Promise<void>;
};
