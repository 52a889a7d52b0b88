import { isIP, BlockList } from "node:net";

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

/** In place of an address that nobody can tell any more: whoever was there has gone. */
export const unknownAddress = "unknown";

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

const [v4, v6] = ["ipv4", "ipv6"] as const;

type Networks = readonly (readonly [network: string, bits: number])[];

function listOf(four: Networks, six: Networks): BlockList {
  const list = new BlockList();
  for (const [network, bits] of four) list.addSubnet(network, bits, v4);
  for (const [network, bits] of six) list.addSubnet(network, bits, v6);
  return list;
}

/** Addresses that are not of the public internet (RFC 6890 and its registries). */
const special = listOf(
  [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.0.0.0", 24],
    ["192.0.2.0", 24],
    ["192.88.99.0", 24],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["198.51.100.0", 24],
    ["203.0.113.0", 24],
    ["224.0.0.0", 4],
    ["240.0.0.0", 4],
  ],
  // Of IPv6 only 2000::/3 is public; inside it, these lead back to IPv4 or nowhere.
  [
    ["2001::", 23],
    ["2001:db8::", 32],
    ["2002::", 16],
    ["3fff::", 20],
  ],
);
const global6 = listOf([], [["2000::", 3]]);
const loopback = listOf([["127.0.0.0", 8]], [["::1", 128]]);

/** Where nobody is to be sought: cloud machines have their credentials served there, or many listen at once. */
const never = listOf(
  [
    ["0.0.0.0", 8],
    ["169.254.0.0", 16],
    ["224.0.0.0", 3],
    ["100.100.100.200", 32],
  ],
  [
    ["::", 128],
    ["fe80::", 10],
    ["ff00::", 8],
    ["fd00:ec2::", 32],
  ],
);

/** Whether no node can be at this address; anything that is no IP address is not. */
export function isNeverANode(address: string): boolean {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return isNeverANode(mapped);
  const family = isIP(address);
  // A mapped address in hexadecimal is nobody's way to write one.
  return family === 0 || /^::ffff:/i.test(address) || never.check(address, family === 4 ? v4 : v6);
}

/** Whether a program on the internet may be sought at this address; anything that is no IP address is not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !special.check(address, v4);
  return family === 6 && global6.check(address, v6) && !special.check(address, v6);
}

export function isLoopbackAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 4 ? v4 : v6);
}

const names = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Whether a host name, as `URL` writes it, is one of this machine's own. */
export function isLoopbackName(hostname: string): boolean {
  return names.has(hostname);
}
