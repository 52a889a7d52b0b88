import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { answersAnother } from "#src/calls/answer-id.ts";
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
