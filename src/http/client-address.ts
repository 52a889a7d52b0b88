import { isIP } from "node:net";

/** By what was said; only addresses are kept. */
const networks = new Map<string, string>();
const [mostNetworks, longestKept] = [1000, 64];

/**
 * Whom a limit for each address is about, from the connection or a proxy's header: without a port, and of IPv6 the
 * network of 64 bits, since one household has 2^64 addresses. Undefined for what is no address.
 */
export function networkOf(text: string): string | undefined {
  const known = networks.get(text);
  if (known !== undefined) return known;
  // A part of a header would keep all of it in memory.
  const own = Buffer.from(text).toString();
  const network = readNetwork(own);
  if (network === undefined || own.length > longestKept) return network;
  if (networks.size >= mostNetworks) networks.clear();
  networks.set(own, network);
  return network;
}

function readNetwork(text: string): string | undefined {
  const [address = ""] = withoutPort(text.trim()).split("%");
  const kind = isIP(address);
  if (kind === 4) return address;
  if (kind === 0) return undefined;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? firstGroups(address.toLowerCase());
}

/** `1.2.3.4:5678`, `[2001:db8::1]:443`, `[2001:db8::1]`. */
function withoutPort(text: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(text)?.[1];
  return bracketed ?? /^(\d+\.\d+\.\d+\.\d+):\d*$/.exec(text)?.[1] ?? text;
}

/** The first four groups of eight, each as short as it goes. */
function firstGroups(address: string): string {
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const behind = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = tail === undefined ? 0 : 8 - groups.length - behind.length;
  const all = [...groups, ...Array<string>(Math.max(missing, 0)).fill("0"), ...behind];
  return all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}
