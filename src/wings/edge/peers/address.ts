import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { within } from "#src/once.ts";
import { Failure } from "#src/failure.ts";
import { isLoopbackName } from "#src/http/loopback.ts";
import {
  isLinkLocalAddress,
  isLoopbackAddress,
  isPublicAddress,
} from "#src/http/special-addresses.ts";

/** Where a node may be reached: an origin, and the IP address behind its name where that is not to be looked up. */
export type Address = { readonly origin: string; readonly ip: string | undefined };

const longestName = 255;

/** `https://node.example:8443`, or `https://node.example:8443#192.168.1.100`. */
export function readAddress(text: string): Address | undefined {
  if (text.length > longestName || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isOrigin = url.pathname === "/" && url.search === "" && url.username === "";
  if (!/^https?:$/.test(url.protocol) || !isOrigin) return undefined;
  const ip = url.hash.slice(1);
  if (ip !== "" && isIP(ip) === 0) return undefined;
  return { origin: url.origin, ip: ip === "" ? undefined : ip };
}

/**
 * What is kept of an address that a node has announced. An IP address counts only where the announcement came
 * from it, so that nobody sends us anywhere else; a name is looked up when it is needed (`reachable`).
 */
export function announcedAddress(text: string, from: string): string | undefined {
  const address = readAddress(text);
  if (address === undefined || !isSecure(address.origin)) return undefined;
  const { hostname } = new URL(address.origin);
  const literal = hostname.replace(/^\[|\]$/g, "");
  if (isLoopbackName(hostname))
    return isLoopbackAddress(from) ? `${address.origin}#${from}` : undefined;
  if (isIP(literal) !== 0) {
    return literal === from && !isLinkLocalAddress(from) ? `${address.origin}#${from}` : undefined;
  }
  // Who announces itself on the local network is there where it speaks from, whatever its name says elsewhere.
  const isHere = address.ip === from && !isLinkLocalAddress(from);
  return isHere ? `${address.origin}#${from}` : address.origin;
}

/** https, or http that does not leave the machine. */
export function isSecure(origin: string): boolean {
  const { protocol, hostname } = new URL(origin);
  return protocol === "https:" || isLoopbackName(hostname);
}

const lookupMs = 2000;

/**
 * The IP address to connect to. What an operator has typed may be anywhere; of what was announced, a name has to
 * lead to public addresses alone. Failures: `peer_insecure`, `peer_unreachable`.
 */
export async function reachable(address: Address, isTyped: boolean): Promise<string | undefined> {
  if (!isSecure(address.origin)) throw new Failure("peer_insecure");
  if (address.ip !== undefined) return address.ip;
  const hostname = new URL(address.origin).hostname.replace(/^\[|\]$/g, "");
  if (isTyped) return undefined;
  const late = () => new Failure("peer_unreachable");
  const found = await within(
    lookupMs,
    lookup(hostname, { all: true }).catch(() => []),
    late,
  );
  const [first] = found;
  if (first === undefined) throw late();
  if (!found.every((each) => isPublicAddress(each.address))) throw new Failure("peer_insecure");
  return first.address;
}
