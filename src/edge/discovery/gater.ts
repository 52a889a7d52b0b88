import type { ConnectionGater } from "@libp2p/interface";
import { isNeverANode, isLoopbackAddress, isPublicAddress } from "#src/http/special-addresses.ts";

type Kind = "public" | "loopback" | "private" | "never";

/**
 * Whom libp2p may dial: strangers spread addresses, and nobody sends us to a place that the operator's own multiaddrs
 * do not name the like of. Names are looked up for nobody but the operator.
 */
export function createGater(own: readonly string[]): ConnectionGater {
  const kinds = new Set<Kind>(["public", ...own.map(kindOf)]);
  const given = new Set(own);
  return {
    denyDialMultiaddr: (address) => {
      const text = address.toString();
      if (given.has(text)) return false;
      const kind = kindOf(text);
      return kind === "never" || !kinds.has(kind);
    },
  };
}

function kindOf(multiaddr: string): Kind {
  const address = /^\/ip[46]\/([^/]+)\//.exec(multiaddr)?.[1];
  // What listens on every interface says nothing about where it may go.
  if (address === undefined || isNeverANode(address)) return "never";
  if (isPublicAddress(address)) return "public";
  return isLoopbackAddress(address) ? "loopback" : "private";
}
