import { BlockList, isIP } from "node:net";

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
