import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { newId, readId } from "#src/crypto/ids.ts";
import { check } from "#test/support/property.ts";

const moments = fc.date({
  min: new Date(0),
  max: new Date("9999-12-31T23:59:59.999Z"),
  noInvalidDate: true,
});

test("an id is a UUIDv7 of the moment in which it was made", () => {
  check(
    fc.property(moments, (moment) => {
      const id = newId(moment);
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16)).toBe(moment.getTime());
    }),
    { cases: 500 },
  );
});

test("ids sort by the moment in which they were made", () => {
  check(
    fc.property(moments, moments, (one, other) => {
      fc.pre(one.getTime() !== other.getTime());
      expect(newId(one) < newId(other)).toBe(one < other);
    }),
    { cases: 500 },
  );
});

test("ids of the same moment differ", () => {
  const now = new Date();
  expect(new Set(Array.from({ length: 2000 }, () => newId(now))).size).toBe(2000);
});

test("an id is read as it is, and nothing else is one", () => {
  const id = newId(new Date());
  expect(readId(id)).toBe(id);
  const others = [id.toUpperCase(), `${id}\n`, ` ${id}`, id.slice(1), `${id}0`];
  const odd = [id.replaceAll("-", ""), `{${id}}`, id.replace(/.$/, "g"), "", null, undefined];
  expect([...others, ...odd].map(readId)).toEqual(
    Array.from({ length: others.length + odd.length }, () => undefined),
  );
});
