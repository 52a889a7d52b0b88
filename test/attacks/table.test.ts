import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const families: Readonly<Record<string, number>> = {
  CD: 10,
  TP: 12,
  OA: 10,
  SS: 10,
  SH: 7,
  DR: 2,
  HI: 2,
  CA: 1,
  DoS: 5,
  EH: 13,
  CO: 9,
};

const ids = Object.entries(families).flatMap(([family, many]) =>
  Array.from({ length: many }, (_, index) => `${family}-${index + 1}`),
);

type Row = { readonly id: string; readonly cells: readonly string[] };

const rows: readonly Row[] = readFileSync(join(root, "docs/attacks.md"), "utf8")
  .split("\n")
  .filter((line) => /^\| [A-Za-z]{2,3}-\d+ /.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map((cells) => ({ id: cells[1] ?? "", cells: cells.slice(2, -1) }));

test("every attack has one row, in its order", () => {
  expect(rows.map(({ id }) => id)).toEqual(ids);
});

test("every row says what the attack is, what the gateway does and how that is shown", () => {
  const short = rows.filter(({ cells }) => cells.length !== 3 || cells.some((cell) => cell === ""));
  expect(short).toEqual([]);
});

for (const { id, cells } of rows) {
  const shown = cells[2] ?? "";
  const named = [...shown.matchAll(/`([\w/.-]+\.test\.ts)`/g)].map(([, path]) => path ?? "");

  test(`the row of ${id} names tests that exist, or says that it does not apply`, () => {
    if (named.length === 0) return expect(shown).toContain("does not apply");
    for (const path of named) {
      expect([path, existsSync(join(root, path))]).toEqual([path, true]);
      const text = readFileSync(join(root, path), "utf8");
      // `test("ID: …`, or the same in the template of a test that runs in several ways.
      expect([
        path,
        new RegExp(`(?:test(?:\\.concurrent)?|each\\(.*\\))\\(\\s*["\`]${id}: `).test(text),
      ]).toEqual([path, true]);
    }
  });
}
