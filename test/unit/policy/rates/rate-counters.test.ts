import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Rate } from "#src/config/guards.ts";
import { inKey, mostPending, toldOf } from "#src/policy/rates/rate-counters.ts";
import { anyText, check } from "#test/support/property.ts";
import { openCounters } from "./counters.ts";

const paces: fc.Arbitrary<Rate> = fc.record({
  calls: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 100_000 })),
  perMs: fc.constantFrom(1000, 7000, 60_000, 3_600_000),
  burst: fc.integer({ min: 1, max: 30 }),
});
/** Milliseconds between one try and the next. */
const pauses = fc.array(
  fc.oneof(fc.constant(0), fc.nat({ max: 50 }), fc.nat({ max: 10_000 }), fc.nat({ max: 600_000 })),
  { maxLength: 60 },
);

test("no window lets through more than the burst and what its length allows", async () => {
  await check(
    fc.asyncProperty(paces, pauses, async (pace, pauses) => {
      await using counters = openCounters(1);
      const rateCounters = counters.processes[0]!;
      const passed: number[] = [];
      for (const pause of [...Array<number>(35).fill(0), ...pauses]) {
        counters.now += pause;
        if (rateCounters.status("k", pace).remaining < 1) continue;
        rateCounters.add("k", pace);
        passed.push(counters.now);
      }
      passed.forEach((from, index) => {
        passed.slice(index).forEach((to, more) => {
          const allowed = pace.burst + ((to - from) * pace.calls) / pace.perMs;
          expect(more + 1).toBeLessThanOrEqual(allowed + 0.01);
        });
      });
    }),
    { cases: 30 },
  );
});

test("so many as remain pass at once, and not one more", async () => {
  await check(
    fc.asyncProperty(paces, pauses, async (pace, pauses) => {
      await using counters = openCounters(1);
      const rateCounters = counters.processes[0]!;
      for (const pause of pauses) {
        counters.now += pause;
        const { remaining } = rateCounters.status("k", pace);
        expect(remaining).toBeLessThanOrEqual(pace.burst);
        if (remaining > 0) rateCounters.add("k", pace, remaining);
        expect(rateCounters.status("k", pace).remaining).toBe(0);
      }
    }),
    { cases: 60 },
  );
});

test("the fractions of a quick pace are kept, whatever the year", async () => {
  await using counters = openCounters(1);
  const rateCounters = counters.processes[0]!;
  // A call takes 0.6 ms here; milliseconds since 1970 hold a quarter of a thousandth.
  const pace = { calls: 99_994, perMs: 60_000, burst: 26 };
  rateCounters.add("k", pace, 26);
  counters.now += 12;
  const { remaining } = rateCounters.status("k", pace);
  expect(remaining).toBe(19);
  rateCounters.add("k", pace, remaining);
  expect(rateCounters.status("k", pace).remaining).toBe(0);
});

test("whoever waits as long as was said passes, and whoever waits less does not", async () => {
  await check(
    fc.asyncProperty(paces, fc.nat({ max: 5000 }), async (pace, pause) => {
      await using counters = openCounters(1);
      const rateCounters = counters.processes[0]!;
      rateCounters.add("k", pace, pace.burst);
      counters.now += pause;
      const { remaining, waitMs } = rateCounters.status("k", pace);
      expect(waitMs === 0).toBe(remaining > 0);
      const start = counters.now;
      counters.now = start + Math.ceil(waitMs);
      expect(rateCounters.status("k", pace).remaining).toBeGreaterThan(0);
      counters.now = start + Math.floor(waitMs - (0.01 * pace.perMs) / pace.calls) - 1;
      if (counters.now > start) expect(rateCounters.status("k", pace).remaining).toBe(0);
    }),
    { cases: 100 },
  );
});

test("time alone never takes anything away, and after all of it nothing is used any more", async () => {
  await check(
    fc.asyncProperty(paces, fc.nat({ max: 40 }), pauses, async (pace, calls, pauses) => {
      await using counters = openCounters(1);
      const rateCounters = counters.processes[0]!;
      rateCounters.add("k", pace, calls);
      const { resetMs } = rateCounters.status("k", pace);
      const end = counters.now + Math.ceil(resetMs);
      let before = -1;
      for (const pause of pauses) {
        const { remaining } = rateCounters.status("k", pace);
        expect(remaining).toBeGreaterThanOrEqual(before);
        before = remaining;
        counters.now += pause;
      }
      counters.now = Math.max(counters.now, end);
      expect(rateCounters.status("k", pace)).toEqual({
        remaining: pace.burst,
        waitMs: 0,
        resetMs: 0,
      });
    }),
    { cases: 60 },
  );
});

const steps = fc.array(
  fc.record({
    who: fc.nat({ max: 1 }),
    key: fc.constantFrom("a", "b"),
    calls: fc.nat({ max: 5 }),
    isGivenBack: fc.boolean(),
    next: fc.constantFrom("nothing", "tell", "tell in vain", "count meanwhile"),
  }),
  { maxLength: 25 },
);

test("what two processes count of a sum is counted once, whatever comes between, and both hear all of it", async () => {
  await check(
    fc.asyncProperty(steps, async (steps) => {
      await using counters = openCounters(2);
      const sum = { calls: 1000, endsAt: counters.now + 86_400_000 };
      const totals: Record<string, number> = { a: 0, b: 0 };
      const count = (who: number, key: string, calls: number) => {
        counters.processes[who]?.add(key, sum, calls);
        totals[key] = (totals[key] ?? 0) + calls;
      };
      for (const key of ["a", "b"]) [0, 1].forEach((who) => count(who, key, 1));
      for (const { who, key, calls, isGivenBack, next } of steps) {
        count(who, key, calls);
        if (isGivenBack) count(who, key, -calls);
        if (next === "nothing") continue;
        counters.isAway = next === "tell in vain";
        if (next === "count meanwhile") counters.meanwhile = () => count(who, key, 1);
        await counters.processes[who]?.told();
        counters.meanwhile = undefined;
        counters.isAway = false;
        // A database that was away is not asked again for a second.
        counters.now += 1000;
      }
      await counters.settle(["a", "b"]);
      for (const rateCounters of counters.processes) {
        const used = ["a", "b"].map((key) => 1000 - rateCounters.status(key, sum).remaining);
        expect(used).toEqual([totals["a"]!, totals["b"]!]);
      }
    }),
    { cases: 60 },
  );
});

test("what two processes count of a pace at one moment adds up, and both hear all of it", async () => {
  await check(
    fc.asyncProperty(
      paces,
      fc.array(fc.tuple(fc.nat({ max: 1 }), fc.nat({ max: 9 }), fc.boolean()), { maxLength: 20 }),
      async (pace, steps) => {
        await using counters = openCounters(2);
        let total = 2;
        counters.processes.forEach((rateCounters) => rateCounters.add("k", pace));
        for (const [who, calls, tells] of steps) {
          counters.processes[who]?.add("k", pace, calls);
          total += calls;
          if (tells) await counters.processes[who]?.told();
        }
        await counters.settle(["k"]);
        const stepMs = pace.perMs / pace.calls;
        for (const rateCounters of counters.processes) {
          const { remaining, resetMs } = rateCounters.status("k", pace);
          expect(Math.abs(resetMs / stepMs - total)).toBeLessThan(0.6);
          expect(Math.abs(remaining - Math.max(pace.burst - total, 0))).toBeLessThanOrEqual(1);
        }
      },
    ),
    { cases: 50 },
  );
});

test("two processes that tell before they are too far behind let through a twentieth more, not more", async () => {
  await check(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.nat({ max: 1 }), { minLength: 300, maxLength: 400 }),
      async (calls, turns) => {
        await using counters = openCounters(2);
        const sum = { calls, endsAt: counters.now + 86_400_000 };
        let passed = 0;
        for (const who of turns) {
          const rateCounters = counters.processes[who]!;
          while (rateCounters.needsSyncOf("k")) await rateCounters.told();
          if (rateCounters.status("k", sum).remaining < 1) continue;
          rateCounters.add("k", sum);
          passed += 1;
        }
        expect(passed).toBeLessThanOrEqual(calls + mostPending(sum));
        expect(passed).toBeGreaterThanOrEqual(Math.min(calls, turns.length / 2));
      },
    ),
    { cases: 30 },
  );
});

test("what was forgiven is forgiven everywhere, also what is being told at that moment", async () => {
  await using counters = openCounters(2);
  const [one, other] = [counters.processes[0]!, counters.processes[1]!];
  const sum = { calls: 10, endsAt: counters.now + 60_000 };
  one.add("loop:a", sum, 4);
  other.add("loop:a", sum, 3);
  await counters.settle(["loop:a"]);
  expect(other.status("loop:a", sum).remaining).toBe(3);
  counters.meanwhile = () => {
    counters.meanwhile = undefined;
    one.reset("loop:a");
  };
  one.add("loop:a", sum, 1);
  await one.told();
  expect(one.status("loop:a", sum).remaining).toBe(10);
  await counters.settle(["loop:a"]);
  expect([one, other].map((rateCounters) => rateCounters.status("loop:a", sum).remaining)).toEqual([
    10, 10,
  ]);
  one.add("loop:b", sum);
  one.add("limit:b", sum);
  one.resetWhere(["loop:"]);
  expect(["loop:b", "limit:b"].map((key) => one.status(key, sum).remaining)).toEqual([10, 9]);
});

test("while the database is away nobody waits for it, and it is not asked again for a second", async () => {
  await using counters = openCounters(1);
  const rateCounters = counters.processes[0]!;
  const sum = { calls: 20, endsAt: counters.now + 60_000 };
  let asked = 0;
  counters.meanwhile = () => void (asked += 1);
  counters.isAway = true;
  rateCounters.add("k", sum, 5);
  expect(rateCounters.needsSyncOf("k")).toBeTrue();
  await rateCounters.told();
  await rateCounters.told();
  expect([rateCounters.needsSyncOf("k"), asked, rateCounters.status("k", sum).remaining]).toEqual([
    false,
    1,
    15,
  ]);
  counters.isAway = false;
  counters.now += 1000;
  expect(rateCounters.needsSyncOf("k")).toBeTrue();
  await rateCounters.told();
  expect([rateCounters.needsSyncOf("k"), rateCounters.status("k", sum).remaining]).toEqual([
    false,
    15,
  ]);
});

test("a twentieth of what is allowed may be untold, and always one", () => {
  const pace = { perMs: 1000, burst: 1 };
  expect([1, 19, 20, 40, 100].map((calls) => mostPending({ calls, ...pace }))).toEqual([
    1, 1, 1, 2, 5,
  ]);
  expect(mostPending({ calls: 1, perMs: 1000, burst: 100 })).toBe(5);
  expect(mostPending({ calls: 1, endsAt: 0 })).toBe(1);
});

test("what is told is kept until it can count no more", () => {
  check(
    fc.property(paces, fc.nat({ max: 100 }), (pace, pending) => {
      const now = 1_790_000_000_000;
      const usedMs = (pending * pace.perMs) / pace.calls;
      const told = toldOf({ key: "k", rule: pace, pending }, usedMs, now);
      expect(told).toMatchObject({ key: "k", calls: pending, most: null });
      expect(told.keepMs).toBeGreaterThan(usedMs + pace.perMs);
    }),
    { cases: 60 },
  );
  const sum = { calls: 5, endsAt: 90_000 };
  const keepMs = (now: number) => toldOf({ key: "k", rule: sum, pending: 1 }, 1, now).keepMs;
  expect([keepMs(0), keepMs(90_000), keepMs(999_999)]).toEqual([150_000, 60_000, 60_000]);
});

test("a name that others have chosen is part of a key as PostgreSQL takes it", () => {
  check(
    fc.property(anyText, fc.string(), (odd, plain) => {
      expect(inKey(`${odd}\0\ud800`).isWellFormed()).toBeTrue();
      expect(inKey(`${odd}\0`)).not.toContain("\0");
      expect(inKey(plain)).toBe(plain.replaceAll("\0", ""));
    }),
    { cases: 60 },
  );
});
