import type { ConnectionGater } from "@libp2p/interface";
import {
  isLinkLocalAddress,
  isLoopbackAddress,
  isPublicAddress,
} from "#src/http/special-addresses.ts";

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
  if (address === undefined || isLinkLocalAddress(address)) return "never";
  if (isPublicAddress(address)) return "public";
  if (isLoopbackAddress(address)) return "loopback";
  // What listens on every interface says nothing about where it may go.
  return /^(0\.0\.0\.0|::)$/.test(address) ? "never" : "private";
}
