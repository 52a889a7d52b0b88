import type { App } from "#src/app.ts";
import type { Connected } from "../peers/connect.ts";
import { type Peer, peersOf } from "../peers/store.ts";
import { type DiscoveredPeer, discoveredOf } from "./store.ts";
import { trustScore } from "../peers/trust.ts";

/** One node, as people and agents are told of it. */
export type PeerView = {
  readonly node_id: string;
  readonly peer_id: string;
  /** What its operator calls it. */
  readonly name: string | null;
  /** `pinned`, `fleet`, `forgotten`; null: nobody has decided. */
  readonly trust: Peer["trust"] | null;
  /** From 0 to 100: how its challenges went. Lets nobody in. */
  readonly trust_score: number | null;
  readonly addresses: readonly string[];
  /** How it was met last: `mdns`, `libp2p` or `challenge`; null: not lately. */
  readonly via: DiscoveredPeer["via"] | null;
  readonly version: string | null;
  readonly seen_at: string | null;
  readonly proven_at: string | null;
  /** SHA-256 of the certificate that is pinned. */
  readonly certificate: string | null;
  /** What it may do here, separated by spaces; null when nothing. */
  readonly scope: string | null;
  /** MCP servers that it may use; null: the default one. */
  readonly upstreams: readonly string[] | null;
};

/** The nodes that this one knows: whom it has decided about, and whom it has met. */
export async function peerViews(
  app: Pick<App, "db" | "now">,
  of: string,
): Promise<readonly PeerView[]> {
  const [decided, met] = await Promise.all([
    peersOf(app.db, of),
    discoveredOf(app.db, of, app.now()),
  ]);
  const sighted = new Map(met.map((each) => [each.peerId, each]));
  const known = new Set(decided.map(({ peerId }) => peerId));
  return [
    ...decided.map((peer) => told(peer, sighted.get(peer.peerId))),
    ...met.filter(({ peerId }) => !known.has(peerId)).map((each) => told(each, each)),
  ];
}

function told(node: Peer | DiscoveredPeer, met: DiscoveredPeer | undefined): PeerView {
  const peer = "trust" in node ? node : undefined;
  return {
    node_id: node.nodeId,
    peer_id: node.peerId,
    name: node.name ?? met?.name ?? null,
    addresses: addressesOf(peer, met),
    ...whenMet(met),
    ...(peer === undefined ? undecided : decision(peer)),
  };
}

const undecided = {
  trust: null,
  trust_score: null,
  proven_at: null,
  certificate: null,
  scope: null,
  upstreams: null,
};

function decision(peer: Peer) {
  const { trust, certificate, scope, upstreams, provenAt } = peer;
  const proven_at = provenAt?.toISOString() ?? null;
  return { trust, trust_score: trustScore(peer), proven_at, certificate, scope, upstreams };
}

function addressesOf(peer: Peer | undefined, met: DiscoveredPeer | undefined): readonly string[] {
  const pinned = peer?.address ?? undefined;
  return pinned === undefined ? (met?.addresses ?? []) : [pinned];
}

function whenMet(met: DiscoveredPeer | undefined) {
  return {
    via: met?.via ?? null,
    version: met?.version ?? null,
    seen_at: met?.seenAt.toISOString() ?? null,
  };
}

/** A connection, as people and agents are told of it. */
export function connectionView(connected: Connected) {
  const { identity, address, isTrusted, result, pin } = connected;
  return {
    node_id: identity.nodeId,
    peer_id: identity.peerId,
    address: address.origin,
    certificate: pin.certificate ?? null,
    proven: true,
    trusted: isTrusted,
    trusts_us: result.isTrusted,
    /** Its MCP address for us. */
    resource: result.token?.url ?? null,
  };
}
