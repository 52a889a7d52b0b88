import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { fromBase64url, isCompactToken } from "#src/crypto/secret.ts";
import { check } from "#test/support/property.ts";

test("bytes have one text, and no other text has them", () => {
  check(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom("=", "==", "A", "+", "\n", " "),
      (bytes, more) => {
        const text = Buffer.from(bytes).toString("base64url");
        expect(fromBase64url(text)).toEqual(Buffer.from(bytes));
        const other = fromBase64url(text + more);
        expect(other === undefined || !other.equals(Buffer.from(bytes))).toBe(true);
      },
    ),
    { cases: 400 },
  );
});

const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.AAAA";

test("a token has three parts in base64url without padding, and no other form", () => {
  expect(isCompactToken(token)).toBe(true);
  for (const other of [
    `${token}=`,
    `${token}==`,
    token.replace(".", "=."),
    `${token}.`,
    `.${token}`,
    `${token}.AAAA.AAAA`,
    token.replace("AAAA", "AAB"),
    token.replace("AAAA", "AA+A"),
    token.replace("AAAA", ""),
    ` ${token}`,
    `${token}\n`,
    "",
  ]) {
    expect([other, isCompactToken(other)]).toEqual([other, false]);
  }
});
