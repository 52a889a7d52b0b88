import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { within } from "#src/clock.ts";
import { Failure } from "#src/failure.ts";
import {
  isLoopbackName,
  isLoopbackAddress,
  isNeverANode,
  isPublicAddress,
} from "#src/http/address.ts";

/** Where a node may be reached: an origin, and the IP address behind its name where that is not to be looked up. */
export type Address = { readonly origin: string; readonly ip: string | undefined };

const longest = 255;

/** `https://node.example:8443`, or `https://node.example:8443#192.168.1.100`. */
export function readAddress(text: string): Address | undefined {
  if (text.length > longest || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const ip = url.hash === "" ? undefined : url.hash.slice(1);
  if (!isOriginAlone(url) || (ip !== undefined && isNeverANode(ip))) return undefined;
  return { origin: url.origin, ip };
}

function isOriginAlone(url: URL): boolean {
  const { protocol, pathname, search, username, password } = url;
  return /^https?:$/.test(protocol) && pathname === "/" && search + username + password === "";
}

/** As it is stored. */
export function addressText({ origin, ip }: Address): string {
  return ip === undefined ? origin : `${origin}#${ip}`;
}

/**
 * What is kept of an address that a node has announced. An IP address counts only where the announcement came
 * from it, so that nobody sends us anywhere else; a name is looked up when it is needed (`reachable`).
 */
export function announcedAddress(text: string, from: string): string | undefined {
  const address = readAddress(text);
  if (address === undefined || isNeverANode(from)) return undefined;
  const { origin } = address;
  const { hostname } = new URL(origin);
  const here = { origin, ip: from };
  if (isLoopbackName(hostname)) return isThisMachine(from) ? addressText(here) : undefined;
  if (!origin.startsWith("https:")) return undefined;
  const literal = hostname.replace(/^\[|\]$/g, "");
  if (isIP(literal) !== 0) return literal === from ? addressText(here) : undefined;
  // Who announces itself on the local network is there where it speaks from, whatever its name says elsewhere.
  return addressText(address.ip === from ? here : { origin, ip: undefined });
}

/** Other addresses of loopback are for whoever takes them. */
function isThisMachine(ip: string): boolean {
  return ip === "127.0.0.1" || ip === "::1";
}

const lookupMs = 2000;

/**
 * The IP address to connect to; undefined where the name is to be looked up. What an operator has typed may be
 * anywhere; of what was announced, a name has to lead to public addresses alone. http does not leave the machine.
 * Failures: `peer_insecure`, `peer_unreachable`.
 */
export async function reachable(
  { origin, ip }: Address,
  isTyped: boolean,
): Promise<string | undefined> {
  const { protocol, hostname } = new URL(origin);
  const literal = hostname.replace(/^\[|\]$/g, "");
  const isLocal = isLoopbackName(hostname);
  if (protocol === "http:" && !isLocal) throw new Failure("peer_insecure");
  if (isLocal && ip !== undefined && !isLoopbackAddress(ip)) throw new Failure("peer_insecure");
  if (ip !== undefined) return ip;
  if (isLocal) return hostname === "[::1]" ? "::1" : "127.0.0.1";
  return isTyped ? undefined : await publicAddressOf(literal);
}

async function publicAddressOf(hostname: string): Promise<string> {
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
