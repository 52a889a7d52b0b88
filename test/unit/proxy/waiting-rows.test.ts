import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import * as fc from "fast-check";
import { WaitingRows, digestOf } from "#src/proxy/call-store.ts";
import { check } from "#test/support/property.ts";

type Row = { readonly id: string; readonly text: string };

const anyName = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.integer({ min: 600, max: 30_000 }).map((length) => "x".repeat(length)),
  fc.integer({ min: 600, max: 30_000 }).map((length) => "\u20ac".repeat(length)),
);

const anyRow: fc.Arbitrary<Row> = fc
  .tuple(fc.uuid(), anyName)
  .map(([id, name]) => ({ id, text: JSON.stringify([id, name]) }));

/** Rows come, or so many of the oldest are stored. */
const anyStep = fc.oneof(fc.array(anyRow, { maxLength: 12 }), fc.nat({ max: 10 }));

const expected = (rows: readonly Row[]) => ({
  ids: rows.map(({ id }) => id),
  json: `[${rows.map(({ text }) => text).join(",")}]`,
  digests: Buffer.concat(rows.map(({ text }) => digestOf(text))),
});

test("rows that wait come out as they went in, in their order, whatever is stored between them", () => {
  check(
    fc.property(fc.array(anyStep, { maxLength: 40 }), fc.nat({ max: 60 }), (steps, most) => {
      const waiting = new WaitingRows();
      let rows: readonly Row[] = [];
      for (const step of steps) {
        if (typeof step === "number") {
          const count = Math.min(step, rows.length);
          rows = rows.slice(count);
          waiting.remove(count);
        } else {
          rows = [...rows, ...step];
          for (const { text } of step) waiting.add(text);
        }
        expect(waiting.length).toBe(rows.length);
        expect(waiting.first(most)).toEqual(expected(rows.slice(0, most)));
      }
    }),
    { cases: 200 },
  );
});

test("a batch stays what it was while others come and it is removed", () => {
  const waiting = new WaitingRows();
  const row = () => JSON.stringify([randomUUID(), "x"]);
  const texts = [row(), row(), row()];
  for (const text of texts) waiting.add(text);
  const batch = waiting.first(2);
  waiting.add(row());
  waiting.remove(batch.ids.length);
  expect(batch.json).toBe(`[${texts.slice(0, 2).join(",")}]`);
  expect(batch.digests).toEqual(Buffer.concat(texts.slice(0, 2).map(digestOf)));
  expect(waiting.first(1).json).toBe(`[${texts[2]}]`);
});

test("rows that wait are bounded: 5,000 of them, and 4 MiB", () => {
  const text = (length: number) => JSON.stringify([randomUUID(), "x".repeat(length)]);
  for (const [length, fewest, most] of [
    [10, 5000, 5000],
    [2000, 1900, 2100],
  ] as const) {
    const waiting = new WaitingRows();
    while (!waiting.isFull && waiting.length < 10_000) waiting.add(text(length));
    expect(waiting.length).toBeGreaterThanOrEqual(fewest);
    expect(waiting.length).toBeLessThanOrEqual(most);
    waiting.remove(1);
    expect(waiting.isFull).toBe(false);
  }
});
