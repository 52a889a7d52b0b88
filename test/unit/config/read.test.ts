import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { readRate } from "#src/config/guards.ts";
import { createReader } from "#src/config/read.ts";
import { isObject, objectIn } from "#src/json.ts";
import { check } from "#test/support/property.ts";

test("a port is a whole number from 0 to 65535, and anything else is told with its setting", () => {
  const texts = fc.oneof(
    fc.integer({ min: -10, max: 70_000 }).map(String),
    fc.constantFrom("8e3", "0x50", "80.0", "+80", "١٢", "8 0", "Infinity", "00080", "9".repeat(30)),
    fc.string({ maxLength: 5 }),
  );
  check(
    fc.property(texts, (text) => {
      const read = createReader({ PORT: text });
      const port = read.number("PORT");
      const isPort = /^\d+$/.test(text.trim()) && Number(text) <= 65_535;
      const isUnset = text.trim() === "";
      expect(port).toBe(isUnset ? 8000 : isPort ? Number(text) : 0);
      expect(read.problems.map(({ setting }) => setting)).toEqual(
        isPort || isUnset ? [] : ["PORT"],
      );
    }),
    { cases: 300 },
  );
});

test("a flag is on or off in a few words, whatever their case; others are told and mean off", () => {
  const read = (value: string | undefined) => {
    const reader = createReader({ MELI_PKCE: value });
    return [reader.flag("MELI_PKCE"), reader.problems.length];
  };
  expect(["on", "TRUE", " 1 "].map(read)).toEqual([
    [true, 0],
    [true, 0],
    [true, 0],
  ]);
  expect(["off", "False", "0"].map(read)).toEqual([
    [false, 0],
    [false, 0],
    [false, 0],
  ]);
  expect(["yes", "no", "onn", "2"].map(read)).toEqual([
    [false, 1],
    [false, 1],
    [false, 1],
    [false, 1],
  ]);
});

test("every problem is gathered, none hides another, and no value is in their words", () => {
  const environment = { PORT: "hunter2-port", ENCRYPTION_KEY: "hunter2-key,,hunter2" };
  const read = createReader(environment);
  read.number("PORT");
  expect(read.keys("ENCRYPTION_KEY")).toEqual([]);
  expect(read.problems.map(({ setting }) => setting)).toEqual([
    "PORT",
    "ENCRYPTION_KEY",
    "ENCRYPTION_KEY",
  ]);
  expect(JSON.stringify(read.problems)).not.toContain("hunter2");
});

test("a list has its parts without blanks and without empty ones", () => {
  const words = fc.stringMatching(/^[a-z0-9.:/-]{1,8}$/);
  const blanks = fc.constantFrom("", " ", "\t", ",", " , ");
  check(
    fc.property(fc.array(fc.tuple(blanks, words, blanks), { maxLength: 6 }), (parts) => {
      const text = parts.map((part) => part.join("")).join(",");
      expect(createReader({ ALLOWED_HOSTS: text }).list("ALLOWED_HOSTS")).toEqual(
        parts.map(([, word]) => word),
      );
    }),
    { cases: 200 },
  );
});

test("32 bytes are a key in base64, base64url and hex, and the keys stay in their order", () => {
  check(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 4 }),
      (keys) => {
        const forms = ["base64", "base64url", "hex"] as const;
        const text = keys.map((key, index) => Buffer.from(key).toString(forms[index % 3]));
        const read = createReader({ ENCRYPTION_KEY: text.join(", ") });
        expect(read.keys("ENCRYPTION_KEY")).toEqual(keys.map((key) => new Uint8Array(key)));
        expect(read.problems).toEqual([]);
      },
    ),
    { cases: 100 },
  );
});

test("JSON that is no object is refused, and what is one is read", () => {
  const read = (value: string) => {
    const reader = createReader({ SMARTDASH_UPSTREAMS: value });
    return [reader.json("SMARTDASH_UPSTREAMS"), reader.problems.length];
  };
  expect(read('{"a":{"b":[1]}}')).toEqual([{ a: { b: [1] } }, 0]);
  expect(read("{")).toEqual([{}, 1]);
  expect(["[]", "null", "1", '"x"', "{a:1}", "", "{}{}"].map(objectIn)).toEqual(
    Array(7).fill(undefined),
  );
  expect([{}, [], null, "x", undefined, new Map()].map(isObject)).toEqual([
    true,
    false,
    false,
    false,
    false,
    true,
  ]);
});

test("a pace is so many in so many seconds, with a burst or without; zero and anything else is none", () => {
  check(
    fc.property(
      fc.integer({ min: 1, max: 999_999_999 }),
      fc.integer({ min: 1, max: 999_999 }),
      fc.option(fc.integer({ min: 1, max: 999_999_999 }), { nil: undefined }),
      (calls, seconds, burst) => {
        const text = `${calls}/${seconds}s${burst === undefined ? "" : `:${burst}`}`;
        expect(readRate(text)).toEqual({ calls, perMs: seconds * 1000, burst: burst ?? calls });
      },
    ),
    { cases: 200 },
  );
  const none = [
    "0/1s",
    "1/0s",
    "1/1s:0",
    "1/1",
    "1/1m",
    "-1/1s",
    "1.5/1s",
    "1/1s:",
    " 1/1s",
    "",
    "1/1s\n",
  ];
  expect(none.map(readRate)).toEqual(none.map(() => undefined));
});
