import { expect, test } from "bun:test";
import { createCipheriv, createHmac } from "node:crypto";
import * as fc from "fast-check";
import { openFernet } from "#src/crypto/fernet.ts";
import { check } from "#test/support/property.ts";

const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });

/** As the specification has it. `padded` false: its text is no whole number of blocks of padding. */
function sealed(text: Uint8Array, key: Uint8Array, isPadded = true): Buffer {
  const [head, iv] = [Buffer.alloc(9), Buffer.alloc(16, 7)];
  head[0] = 0x80;
  const cipher = createCipheriv("aes-128-cbc", key.subarray(16), iv).setAutoPadding(isPadded);
  const signed = Buffer.concat([head, iv, cipher.update(text), cipher.final()]);
  const tag = createHmac("sha256", key.subarray(0, 16)).update(signed).digest();
  return Buffer.concat([signed, tag]);
}

test("the token of the specification opens", () => {
  const key = Buffer.from("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=", "base64url");
  const token =
    "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
  expect(openFernet(token, [key])).toBe("hello");
});

test("whatever was sealed opens with its key, wherever that stands among others", () => {
  check(
    fc.property(
      fc.string({ unit: "grapheme" }),
      fc.uniqueArray(keys, { minLength: 1, maxLength: 4, selector: String }),
      fc.nat(),
      (text, all, which) => {
        const key = all[which % all.length]!;
        const token = sealed(Buffer.from(text), key).toString("base64url");
        expect(openFernet(token, all)).toBe(text.toWellFormed());
        expect(
          openFernet(
            token,
            all.filter((each) => each !== key),
          ),
        ).toBeUndefined();
      },
    ),
    { cases: 200 },
  );
});

test("a token with any one bit changed does not open, nor one that is cut short", () => {
  const key = Buffer.alloc(32, 3);
  const whole = sealed(Buffer.from("a refresh token"), key);
  for (let bit = 0; bit < whole.length * 8; bit += 1) {
    const changed = Buffer.from(whole);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect([bit, openFernet(changed.toString("base64url"), [key])]).toEqual([bit, undefined]);
  }
  for (let length = 0; length < whole.length; length += 1) {
    expect(openFernet(whole.subarray(0, length).toString("base64url"), [key])).toBeUndefined();
  }
});

test("what is no token, no key or wrongly padded opens nothing and breaks nothing", () => {
  const key = Buffer.alloc(32, 3);
  const good = sealed(Buffer.from("x"), key).toString("base64url");
  expect(openFernet(good, [])).toBeUndefined();
  expect(openFernet(good, [key.subarray(1), Buffer.alloc(0)])).toBeUndefined();
  expect(
    openFernet(sealed(Buffer.alloc(16), key, false).toString("base64url"), [key]),
  ).toBeUndefined();
  check(
    fc.property(fc.string(), (text) => {
      expect(openFernet(text, [key])).toBeUndefined();
    }),
    { cases: 200 },
  );
});
