import { expect, test } from "bun:test";
import { networkOf } from "#src/http/address.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  [" 192.0.2.1 ", "192.0.2.1"],
  ["192.0.2.1:443", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["[::ffff:192.0.2.1]:443", "192.0.2.1"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["[2001:db8::1]:65535", "2001:db8:0:0"],
  ["[2001:DB8::1]", "2001:db8:0:0"],
  ["2001:0db8:0000:0000:0001::", "2001:db8:0:0"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["::1", "0:0:0:0"],
])("%j counts as %j", (text, network) => {
  expect(networkOf(text)).toBe(network);
  // The second time it is known.
  expect(networkOf(text)).toBe(network);
});

test.each(["", "unknown", "_hidden", "192.0.2", "192.0.2.1:x", "example.com", "1.2.3.4, 5.6.7.8"])(
  "%j is no address",
  (text) => {
    expect(networkOf(text)).toBeUndefined();
  },
);
