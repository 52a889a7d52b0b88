import { plain } from "#src/telemetry/redact.ts";
import type { PeerView } from "#src/edge/discovery/view.ts";

/** A node for people: its peer id stands on a line of its own, to be copied. */
export function peerBlock(peer: PeerView): string {
  const { trust, trust_score: score, via, seen_at: seenAt, scope } = peer;
  const facts = [
    trust === null ? "not trusted" : trust,
    ...(score === null ? [] : [`score ${score}`]),
    ...(via === null || seenAt === null ? [] : [`met by ${via} ${seenAt.slice(0, 19)}Z`]),
    ...(scope === null ? [] : [`may ${scope}`]),
  ];
  const lines = [peer.peer_id, ...peer.addresses.map(plain)].map((line) => `  ${line}`);
  const name = peer.name === null || peer.name === peer.node_id ? "" : ` (${peer.name})`;
  return [`${peer.node_id}${name}  ${facts.join(", ")}`, ...lines].join("\n");
}
