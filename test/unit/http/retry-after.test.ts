import { expect, test } from "bun:test";
import { readRetryAfter } from "#src/http/reason.ts";

const now = new Date("2026-11-29T12:00:00.400Z");

test.each([
  ["0", 0],
  ["30", 30],
  [" 30 ", 30],
  ["999999999999", 3600],
  ["Sun, 29 Nov 2026 12:00:30 GMT", 30],
  ["Sunday, 29-Nov-26 12:00:30 GMT", 30],
  ["Sun Nov 29 12:00:30 2026 GMT", 30],
  ["Sun, 29 Nov 2026 11:00:00 GMT", 0],
  ["Mon, 29 Nov 2027 12:00:30 GMT", 3600],
  ["", undefined],
  ["soon", undefined],
  ["-1", undefined],
  ["1.5", undefined],
  ["1 2 3", undefined],
  ["Sun, 99 Foo 2026", undefined],
  [null, undefined],
] as const)("%j is %j seconds", (value, seconds) => {
  expect(readRetryAfter(value, now)).toBe(seconds);
});
