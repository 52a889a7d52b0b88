import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { type Budget, budgetPeriods } from "#src/config/guards.ts";
import { asFailure } from "#src/failure.ts";
import {
  budgetStatuses,
  budgetsOf,
  checkBudgets,
  runningBudgets,
  spend,
} from "#src/policy/budgets.ts";
import { actsIn } from "#src/policy/plan.ts";
import { check } from "#test/support/property.ts";
import { openCounters } from "#test/unit/policy/rates/counters.ts";

const owner = { key: "grant:1", accountId: "account" };
const moments = fc.date({
  min: new Date("2024-01-01T00:00:00Z"),
  max: new Date("2040-01-01T00:00:00Z"),
  noInvalidDate: true,
});
const periods = fc.constantFrom(...budgetPeriods);
const budgetOf = (period: Budget["period"], calls = 5): Budget => ({ of: "agent", calls, period });
const runningAt = (period: Budget["period"], now: Date) =>
  budgetsOf([budgetOf(period)], owner, now)[0]!;

test("a period ends after now, and up to that moment, but not at it, it is the same one", () => {
  const longest = { minute: 60_000, day: 86_400_000, month: 31 * 86_400_000 };
  check(
    fc.property(
      periods,
      moments,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (period, now, part) => {
        const { key, sum } = runningAt(period, now);
        const left = sum.endsAt - now.getTime();
        expect(left).toBeGreaterThan(0);
        expect(left).toBeLessThanOrEqual(longest[period]);
        const later = new Date(now.getTime() + Math.floor(part * (left - 1)));
        expect(runningAt(period, later)).toEqual(runningAt(period, now));
        const next = runningAt(period, new Date(sum.endsAt));
        expect(next.key).not.toBe(key);
        expect(next.sum.endsAt).toBeGreaterThan(sum.endsAt);
      },
    ),
    { cases: 300 },
  );
});

test("periods are those of UTC: minutes, days and months, also the last one of a year", () => {
  const last = new Date("2028-12-31T23:59:59.999Z");
  const ends = budgetPeriods.map((period) => runningAt(period, last).sum.endsAt);
  expect(ends).toEqual(Array(3).fill(Date.UTC(2029, 0)));
  expect(runningAt("month", new Date("2028-02-29T12:00:00Z")).sum.endsAt).toBe(Date.UTC(2028, 2));
});

test("whose budget it is, for how long and which: each of them has a count of its own", () => {
  const now = new Date("2028-02-29T12:34:56Z");
  const budgets = budgetPeriods.flatMap((period) =>
    (["agent", "account"] as const).map((of) => ({ of, calls: 1, period })),
  );
  const keys = budgetsOf(budgets, owner, now).map(({ key }) => key);
  expect(new Set(keys).size).toBe(6);
  expect(keys).toContain("budget:agent:grant:1:day:2028-02-29");
  // Who has no account has no budget of one.
  expect(budgetsOf(budgets, { ...owner, accountId: undefined }, now)).toHaveLength(3);
});

test("what acts is counted and what only reads is not, and Retry-After leads into the next period", async () => {
  await check(
    fc.asyncProperty(
      periods,
      moments,
      fc.integer({ min: 1, max: 9 }),
      async (period, now, calls) => {
        await using counters = openCounters(1);
        const rateCounters = counters.processes[0]!;
        counters.now = now.getTime();
        const running = () =>
          runningBudgets(rateCounters, [budgetOf(period, calls)], owner, counters.now);
        const attempt = (...methods: readonly string[]) => {
          try {
            checkBudgets(rateCounters, running(), actsIn({ methods }), counters.now);
            return undefined;
          } catch (error) {
            return asFailure(error);
          }
        };
        spend(rateCounters, running(), calls - 1, counters.now);
        expect(attempt("tools/call")).toBeUndefined();
        expect(attempt("tools/call", "tools/list", "tools/call")?.code).toBe("budget_spent");
        spend(rateCounters, running(), 1, counters.now);
        expect(attempt("tools/list", "ping")).toBeUndefined();
        const refusal = attempt("tools/call");
        expect(refusal?.code).toBe("budget_spent");
        counters.now += (refusal?.details.retryAfterSeconds ?? 0) * 1000;
        expect(attempt("tools/call")).toBeUndefined();
      },
    ),
    { cases: 100 },
  );
});

test("what was spent and came back is there again, and what is used is told as it is", async () => {
  await using counters = openCounters(1);
  const rateCounters = counters.processes[0]!;
  const now = new Date(counters.now);
  const running = runningBudgets(rateCounters, [budgetOf("day")], owner, counters.now);
  spend(rateCounters, running, 3, counters.now);
  spend(rateCounters, running, -1, counters.now);
  expect(budgetStatuses(rateCounters, [budgetOf("day")], owner, now)).toEqual([
    {
      of: "agent",
      period: "day",
      limit: 5,
      used: 2,
      resetsAt: new Date(running[0]?.sum.endsAt ?? 0).toISOString(),
    },
  ]);
});
