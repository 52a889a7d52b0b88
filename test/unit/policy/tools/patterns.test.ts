import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { fits, natures } from "#src/policy/tools/patterns.ts";
import { check } from "#test/support/property.ts";

const characters = fc.constantFrom("a", "b", "_", ".", "\\", "[", "$", "é", "\n");
const names = fc.array(characters, { maxLength: 8 }).map((parts) => parts.join(""));
const globs = fc
  .array(fc.oneof(characters, fc.constant("*")), { maxLength: 8 })
  .map((parts) => parts.join(""));

/** The same as a regular expression has it. */
const asExpression = (glob: string) =>
  new RegExp(
    `^${glob
      .split("*")
      .map((part) => RegExp.escape(part))
      .join("[^]*")}$`,
  );

test("a star stands for any characters, also none, and everything else for itself", () => {
  const fitting = fc.tuple(globs, names).map(([glob, name]) => [glob, glob.replaceAll("*", name)]);
  check(
    fc.property(fc.oneof(fc.tuple(globs, names), fitting), ([glob = "", name = ""]) => {
      expect(fits(glob, name, undefined)).toBe(asExpression(glob).test(name));
    }),
    { cases: 1000 },
  );
});

test("what a glob demands at its beginning and at its end must not overlap", () => {
  expect(fits("aba*ba", "aba", undefined)).toBeFalse();
  expect(fits("aba*ba", "ababa", undefined)).toBeTrue();
  expect(fits("*ab*ab*", "ab", undefined)).toBeFalse();
});

test("the words for annotations go by what a tool says it does, and never by its name", () => {
  const by = (pattern: string) => natures.filter((nature) => fits(pattern, "x", nature));
  expect(by("@read-only")).toEqual(["reading"]);
  expect(by("@destructive")).toEqual(["destructive"]);
  expect(by("@writing")).toEqual(["writing", "unknown", "destructive"]);
  for (const pattern of ["@read-only", "@writing", "@destructive"]) {
    expect(fits(pattern, pattern, undefined)).toBeFalse();
    expect(fits(pattern, pattern, undefined, true)).toBeTrue();
  }
});

test("a glob with many stars takes no more than a moment", () => {
  const started = process.cpuUsage();
  expect(fits("*a".repeat(2000), "a".repeat(1999), undefined)).toBeFalse();
  expect(process.cpuUsage(started).user).toBeLessThan(500_000);
});
