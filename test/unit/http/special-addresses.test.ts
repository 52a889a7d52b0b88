import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { isLoopbackAddress, isNeverANode, isPublicAddress } from "#src/http/address.ts";
import { check } from "#test/support/property.ts";

const dotted = (address: number) =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
const addresses = fc.nat({ max: 2 ** 32 - 1 });

/** IPv4 networks by their first and last address (RFC 6890), and whether a node can be there. */
const networks: readonly (readonly [first: string, last: string, isNever: boolean])[] = [
  ["0.0.0.0", "0.255.255.255", true],
  ["10.0.0.0", "10.255.255.255", false],
  ["100.64.0.0", "100.100.100.199", false],
  ["100.100.100.201", "100.127.255.255", false],
  ["127.0.0.0", "127.255.255.255", false],
  ["169.254.0.0", "169.254.255.255", true],
  ["172.16.0.0", "172.31.255.255", false],
  ["192.168.0.0", "192.168.255.255", false],
  ["198.18.0.0", "198.19.255.255", false],
  ["224.0.0.0", "239.255.255.255", true],
  ["240.0.0.0", "255.255.255.255", true],
];

test.each(networks)("nothing from %s to %s is of the public internet", (first, last, isNever) => {
  const number = (text: string) =>
    text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  check(
    fc.property(fc.integer({ min: number(first), max: number(last) }), (address) => {
      expect(isPublicAddress(dotted(address))).toBeFalse();
      expect(isNeverANode(dotted(address))).toBe(isNever);
    }),
    { cases: 50 },
  );
});

test.each([
  ["9.255.255.255", "11.0.0.0"],
  ["100.63.255.255", "100.128.0.0"],
  ["126.255.255.255", "128.0.0.0"],
  ["169.253.255.255", "169.255.0.0"],
  ["172.15.255.255", "172.32.0.0"],
  ["192.167.255.255", "192.169.0.0"],
  ["223.255.255.255", "1.0.0.0"],
])("%s and %s are beside such networks, and public", (below, above) => {
  const both = [below, above];
  expect(both.map(isPublicAddress)).toEqual([true, true]);
  expect(both.map(isNeverANode)).toEqual([false, false]);
});

test("where credentials of cloud machines are served, no node is, however that is written", () => {
  const metadata = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "::FFFF:169.254.169.254",
    "::ffff:a9fe:a9fe",
    // Nobody writes a node's address like that, whatever it is.
    "::ffff:a00:1",
    "100.100.100.200",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
    "::",
  ];
  expect(metadata.filter((address) => !isNeverANode(address))).toEqual([]);
  expect(metadata.filter(isPublicAddress)).toEqual([]);
});

test("an IPv4 address within an IPv6 one is not sought, and is loopback where the inner one is", () => {
  check(
    fc.property(addresses, (address) => {
      const mapped = `::ffff:${dotted(address)}`;
      expect(isPublicAddress(mapped)).toBeFalse();
      expect(isNeverANode(mapped)).toBe(isNeverANode(dotted(address)));
      const [high, low] = [address >>> 16, address & 0xffff].map((part) => part.toString(16));
      expect(isPublicAddress(`2002:${high}:${low}::1`)).toBeFalse();
      expect(isPublicAddress(`64:ff9b::${high}:${low}`)).toBeFalse();
    }),
    { cases: 200 },
  );
  expect(["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"].map(isLoopbackAddress)).toEqual(
    Array(4).fill(true),
  );
});

test("of IPv6 only the global addresses are public, without those that lead elsewhere", () => {
  const open = ["2606:4700::1111", "2a00:1450:4001::1", "3ffe::1"];
  const closed = ["::1", "fc00::1", "fd12::1", "2001:db8::1", "2001::1", "3fff::1", "5f00::1"];
  expect(open.filter((address) => !isPublicAddress(address))).toEqual([]);
  expect(closed.filter(isPublicAddress)).toEqual([]);
});

test("what is no IP address is nowhere", () => {
  const odd = [
    "",
    "localhost",
    "127.1",
    "0x7f.0.0.1",
    "1.2.3.4.",
    "1.2.3.4:80",
    "[::1]",
    "1.2.3.256",
  ];
  expect(odd.filter(isPublicAddress)).toEqual([]);
  expect(odd.filter(isLoopbackAddress)).toEqual([]);
  expect(odd.filter((each) => !isNeverANode(each))).toEqual([]);
});
