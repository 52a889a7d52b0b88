import { expect, test } from "bun:test";
import { basicCredentials } from "#src/accounts/provider-client.ts";

const decoded = (header: string) =>
  Buffer.from(header.slice("Basic ".length), "base64").toString("latin1");

/** As a server reads it that follows RFC 6749 section 2.3.1. */
const formDecoded = (text: string) => new URLSearchParams(`a=${text}`).get("a");

test.each([
  // What identifiers and secrets look like in the wild: plain and decoded are the same.
  ["7673bde9-be72-4d75-bd5e-b0dba2c49b38", "sba_0123456789abcdef"],
  ["client.id~1", "qP8Q~-._!*'();@,/?#[]$"],
  ["id", "c2VjcmV0/Zm9y=="],
  ["id", "with:colon"],
])("%s and %s are sent as they are", (id, secret) => {
  expect(decoded(basicCredentials(id, secret))).toBe(`${id}:${secret}`);
});

test.each([
  ["a:b", "s", "a%3Ab:s"],
  ["id", "50%", "id:50%25"],
  ["id", "a+b&c d", "id:a%2Bb%26c%20d"],
  ["id", "£€", "id:%C2%A3%E2%82%AC"],
  ["id", "a\nb", "id:a%0Ab"],
])("%j and %j: only what would be read differently is encoded", (id, secret, sent) => {
  expect(decoded(basicCredentials(id, secret))).toBe(sent);
});

test("whoever decodes reads every character", () => {
  const all = Array.from({ length: 0x250 }, (_, code) => String.fromCharCode(code)).join("");
  const text = decoded(basicCredentials(all, all));
  const at = text.indexOf(":");
  expect([formDecoded(text.slice(0, at)), formDecoded(text.slice(at + 1))]).toEqual([all, all]);
});
