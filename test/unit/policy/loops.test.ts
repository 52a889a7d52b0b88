import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { type History, Histories, noteResult, noteStep } from "#src/policy/loops.ts";
import { check } from "#test/support/property.ts";

const begun = (): History => new Histories().begun("agent", 1);
const cycles = (steps: readonly string[], history = begun()) =>
  steps.map((step) => noteStep(history, step, "result"));

test("a cycle of two to six different steps is known from the first step of its second turn on", () => {
  const turns = fc.uniqueArray(fc.integer().map(String), { minLength: 2, maxLength: 6 });
  check(
    fc.property(turns, fc.nat({ max: 5 }), fc.integer({ min: 1, max: 4 }), (turn, before, more) => {
      const start = Array.from({ length: before }, (_, index) => `before ${index}`);
      const [first, ...rest] = Array.from({ length: more }, () => turn).flat();
      const found = cycles([...start, ...turn, first ?? "", ...rest]);
      expect(found.slice(0, before + turn.length)).toEqual(Array(before + turn.length).fill(0));
      expect(found.slice(before + turn.length)).toEqual(Array(rest.length + 1).fill(turn.length));
    }),
    { cases: 200 },
  );
});

test("steps that never come again are no cycle, and neither is one step repeated", () => {
  expect(cycles(Array.from({ length: 40 }, (_, index) => String(index)))).toEqual(
    Array(40).fill(0),
  );
  expect(cycles(Array.from({ length: 40 }, () => "same"))).toEqual(Array(40).fill(0));
});

test("a cycle that is longer than six is not looked for, and one that is left is over", () => {
  const seven = Array.from({ length: 7 }, (_, index) => String(index));
  expect(cycles([...seven, ...seven])).toEqual(Array(14).fill(0));
  expect(cycles(["a", "b", "a", "b", "c"])).toEqual([0, 0, 2, 2, 0]);
});

test("a result is the same as the last one of its call, or changed after it had been the same, or neither", () => {
  const history = begun();
  const noted = ["x", "x", "x", "y", "z", "z", "x"].map((result) =>
    noteResult(history, "call", result),
  );
  expect(noted).toEqual([undefined, "same", "same", "changed", undefined, "same", "changed"]);
  expect(noteResult(history, "another", "x")).toBeUndefined();
});

test("what is remembered is bounded: 64 calls of an agent, twelve steps, 5,000 agents", () => {
  const history = begun();
  for (let index = 0; index < 200; index += 1) {
    noteResult(history, `call ${index}`, "r");
    noteStep(history, `step ${index}`, "result");
  }
  expect([history.seen.size, history.steps.length]).toEqual([64, 12]);
  expect([noteResult(history, "call 199", "r"), noteResult(history, "call 0", "r")]).toEqual([
    "same",
    undefined,
  ]);
  const histories = new Histories();
  histories.begun("first", 1);
  histories.begun("second", 1);
  for (let index = 0; index < 4998; index += 1) histories.begun(`agent ${index}`, 1);
  histories.begun("first", 1001);
  histories.begun("one more", 1001);
  // The one that was idle longest goes.
  expect([histories.find("first", 1001) === undefined, histories.find("second", 1001)]).toEqual([
    false,
    undefined,
  ]);
});

test("the same call with another result is another step", () => {
  const history = begun();
  const found = ["x", "y", "z", "x", "y"].map((result) => noteStep(history, "call", result));
  expect(found).toEqual([0, 0, 0, 3, 3]);
});

test("what an agent did is forgotten when it has done nothing for a quarter of an hour", () => {
  let now = 0;
  const histories = new Histories();
  const history = histories.begun("agent", now);
  now += 15 * 60_000 - 1;
  expect(histories.begun("agent", now)).toBe(history);
  now += 15 * 60_000;
  expect(histories.find("agent", now)).toBeUndefined();
  expect(histories.begun("agent", now).steps).toEqual([]);
});
