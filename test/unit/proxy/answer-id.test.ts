import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { answersAnother, withoutId } from "#src/proxy/rpc-id.ts";
import { check } from "#test/support/property.ts";

const isAnother = (text: string, id: string | number | null) =>
  answersAnother(Buffer.from(text), id);

test("an answer with the id of its request is its answer, wherever the id stands and whatever else is in it", () => {
  const ids = fc.oneof(fc.integer(), fc.string({ unit: "grapheme", maxLength: 20 }));
  check(
    fc.property(
      ids,
      fc.jsonValue(),
      fc.boolean(),
      fc.constantFrom(0, 2),
      (id, result, first, indent) => {
        const message = first ? { id, result } : { jsonrpc: "2.0", result, id };
        expect(isAnother(JSON.stringify(message, null, indent), id)).toBe(false);
      },
    ),
    { cases: 500 },
  );
});

test("an answer with another id is somebody else's, also where the same number stands inside of it", () => {
  check(
    fc.property(fc.integer(), fc.integer(), (id, other) => {
      fc.pre(id !== other);
      expect(isAnother(`{"jsonrpc":"2.0","id":${other},"result":{}}`, id)).toBe(true);
      expect(isAnother(`{"jsonrpc":"2.0", "result": {"n": [${id}]}, "id" : ${other}}`, id)).toBe(
        true,
      );
    }),
    { cases: 300 },
  );
});

test.each([
  ['{"id":7,"result":{"rows":[{"id":1}]}}', 1],
  ['{"jsonrpc":"2.0","id":7,"result":{"a":{"jsonrpc":"2.0","id":1,"x":0}}}', 1],
  ['{"jsonrpc":"2.0","id":17,"result":{}}', 1],
  ['{"result":{"x":0,"id":1},"id":7}', 1],
  ['{"result":{"x":0,"id":1},"id":"1"}', 1],
] as const)("%s belongs to another request than %j", (text, id) => {
  expect(isAnother(text, id)).toBe(true);
});

test.each([
  ['{"jsonrpc":"2.0","id":null,"error":{}}', 1],
  ['{"jsonrpc":"2.0","error":{}}', 1],
  ["<html>", 1],
  ["", 1],
  ['{"id":"a\\u0062","result":{}}', "ab"],
  ['{"id":12345678901234567890,"result":{}}', 12345678901234567000],
  ['{"id":1.0,"result":{}}', 1],
  ['{"result":{"id":9}}', 1],
  ['{"id":7', null],
] as const)("%s passes for the request %j", (text, id) => {
  expect(isAnother(text, id)).toBe(false);
});

test.each([
  ['{"jsonrpc":"2.0","id":12345678901234567890,"result":{}}', 12345678901234567000],
  [String.raw`{"jsonrpc":"2.0","id":"\u00e9","result":{}}`, "é"],
  ['{"jsonrpc":"2.0","id":1e3,"result":{}}', 1000],
  [String.raw`{"id":"a\/b","result":{}}`, "a/b"],
  ['{"result":{},"jsonrpc":"2.0","id":7}', 7],
] as const)("of %s only the id is left out, however it is written", (text, id) => {
  const rest = withoutId(Buffer.from(text), id)?.toString() ?? "none";
  expect(rest).toContain('"result":{}');
  expect(rest).not.toMatch(/12345|00e9|1e3|a.{2}b|7/);
  expect(withoutId(Buffer.from(text), 8)).toBeUndefined();
});
