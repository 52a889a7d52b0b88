import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Failure } from "#src/failure.ts";
import { createFloodGate } from "#src/http/flood-gate.ts";
import { check } from "#test/support/property.ts";

// As the gateway has them: a whole number of milliseconds for each.
const paces = fc.record({
  perMinute: fc.constantFrom(1, 5, 10, 30, 60, 100, 600),
  burst: fc.integer({ min: 1, max: 20 }),
});

/** Milliseconds to wait; 0 when it passed. */
function waitOf(pass: () => void): number {
  try {
    pass();
    return 0;
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "too_many_requests") throw error;
    return (error.details.retryAfterSeconds ?? Number.NaN) * 1000;
  }
}

test("no window lets through more than the burst and what its length allows", () => {
  check(
    fc.property(paces, fc.array(fc.nat({ max: 20_000 }), { maxLength: 60 }), (pace, steps) => {
      let now = 1_000_000;
      const gate = createFloodGate({ ...pace, now: () => now });
      const passed: number[] = [];
      for (const step of steps) {
        now += step % 3 === 0 ? 0 : step;
        if (waitOf(() => gate.pass("k")) === 0) passed.push(now);
      }
      passed.forEach((from, index) => {
        passed.slice(index).forEach((to, more) => {
          const allowed = pace.burst + ((to - from) * pace.perMinute) / 60_000;
          expect(more + 1).toBeLessThanOrEqual(allowed + 1e-6);
        });
      });
    }),
    { cases: 200 },
  );
});

test("whoever is refused passes after the wait that was named, not long after it could, and other keys always", () => {
  check(
    fc.property(paces, (pace) => {
      let now = 1_000_000;
      const gate = createFloodGate({ ...pace, now: () => now });
      for (let count = 0; count < pace.burst; count += 1) gate.pass("k");
      const waitMs = waitOf(() => gate.pass("k"));
      expect(waitMs).toBeGreaterThan(0);
      expect(waitMs).toBeLessThan(60_000 / pace.perMinute + 1000);
      expect(waitOf(() => gate.pass("other"))).toBe(0);
      now += waitMs;
      expect(waitOf(() => gate.pass("k"))).toBe(0);
    }),
    { cases: 100 },
  );
});

test("looking counts nothing", () => {
  const gate = createFloodGate({ perMinute: 60, burst: 1, now: () => 5 });
  for (let count = 0; count < 10; count += 1) gate.check("k");
  gate.pass("k");
  expect(waitOf(() => gate.check("k"))).toBe(1000);
});

test("a clock that is set back locks nobody out", () => {
  let now = 10_000_000;
  const gate = createFloodGate({ perMinute: 60, burst: 2, now: () => now });
  gate.pass("k");
  gate.pass("k");
  now -= 3_000_000;
  expect(waitOf(() => gate.pass("k"))).toBe(0);
});
