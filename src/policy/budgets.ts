import type { Caller } from "#src/oauth-server/caller.ts";
import type { Budget } from "#src/config/guards.ts";
import type { Database } from "#db/open.ts";
import { Failure } from "#src/failure.ts";
import { budgetRows } from "./rates/store.ts";
import type { Sum, Counter, RateCounters } from "./rates/rate-counters.ts";

type Owner = Pick<Caller, "key" | "accountId">;

/** A budget in the period that runs. */
type BudgetPeriod = {
  readonly key: string;
  readonly budget: Budget;
  readonly sum: Sum;
};

export type RunningBudget = BudgetPeriod & { counter: Counter };

/** What is used of a budget. */
type BudgetStatus = {
  readonly of: Budget["of"];
  readonly period: Budget["period"];
  readonly limit: number;
  readonly used: number;
  /** ISO 8601. */
  readonly resetsAt: string;
};

export function budgetsOf(
  budgets: readonly Budget[],
  owner: Owner,
  now: Date,
): readonly BudgetPeriod[] {
  return budgets.flatMap((budget) => {
    const name = budget.of === "agent" ? owner.key : owner.accountId;
    if (name === undefined) return [];
    const { label, endsAt } = periodAt(budget.period, now);
    const key = `budget:${budget.of}:${name}:${budget.period}:${label}`;
    return [{ key, budget, sum: { calls: budget.calls, endsAt } }];
  });
}

/** The same with what counts them. */
export function runningBudgets(
  rateCounters: RateCounters,
  budgets: readonly Budget[],
  owner: Owner,
  now: number,
): readonly RunningBudget[] {
  return budgetsOf(budgets, owner, new Date(now)).map(({ key, budget, sum }) => ({
    key,
    budget,
    sum,
    counter: rateCounters.counter(key, sum),
  }));
}

/** Failures: `budget_spent`, with when the next period begins. Asks nobody. `now` is in milliseconds. */
export function checkBudgets(
  rateCounters: RateCounters,
  running: readonly RunningBudget[],
  acts: number,
  now: number,
): void {
  for (const each of running) {
    if (!each.counter.isKept) each.counter = rateCounters.counter(each.key, each.sum);
    if (each.counter.remaining(now) < acts) throw spent(each, now);
  }
}

function spent({ budget, sum }: BudgetPeriod, now: number): Failure {
  const until = new Date(sum.endsAt).toISOString();
  return new Failure(
    "budget_spent",
    `The budget of ${budget.calls} calls a ${budget.period} for this ${budget.of} is used up until ${until}. Tell the person; do not try again before.`,
    { retryAfterSeconds: Math.ceil(Math.max(sum.endsAt - now, 0) / 1000) },
  );
}

export function spend(
  rateCounters: RateCounters,
  running: readonly RunningBudget[],
  acts: number,
  now: number,
): void {
  if (acts === 0) return;
  for (const each of running) each.counter = rateCounters.count(each.counter, acts, now);
}

/** As far as this process knows; it hears of the others within a second of counting itself. */
export function budgetStatuses(
  rateCounters: RateCounters,
  budgets: readonly Budget[],
  owner: Owner,
  now: Date,
): readonly BudgetStatus[] {
  return budgetsOf(budgets, owner, now).map(({ key, budget, sum }) => ({
    of: budget.of,
    period: budget.period,
    limit: budget.calls,
    used: budget.calls - rateCounters.status(key, sum).remaining,
    // Each token that is issued names it.
    resetsAt: periodAt(budget.period, now).resetsAt,
  }));
}

type PeriodAt = { readonly label: string; readonly endsAt: number; readonly resetsAt: string };

/** The current period of each kind: dates are worked out once for it. */
const periods = new Map<Budget["period"], PeriodAt & { readonly startsAt: number }>();

/** Periods of UTC: the same for every replica and for people who compare notes. */
function periodAt(period: Budget["period"], now: Date): PeriodAt {
  const at = now.getTime();
  const known = periods.get(period);
  if (known !== undefined && at >= known.startsAt && at < known.endsAt) return known;
  const read = readPeriod(period, now);
  const begun = { ...read, resetsAt: new Date(read.endsAt).toISOString() };
  periods.set(period, begun);
  return begun;
}

function readPeriod(period: Budget["period"], now: Date) {
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  const iso = now.toISOString();
  if (period === "month") {
    const [startsAt, endsAt] = [Date.UTC(year, month), Date.UTC(year, month + 1)];
    return { label: iso.slice(0, 7), startsAt, endsAt };
  }
  if (period === "day") {
    const [startsAt, endsAt] = [Date.UTC(year, month, day), Date.UTC(year, month, day + 1)];
    return { label: iso.slice(0, 10), startsAt, endsAt };
  }
  const minuteMs = 60_000;
  const startsAt = Math.floor(now.getTime() / minuteMs) * minuteMs;
  return { label: iso.slice(0, 16), startsAt, endsAt: startsAt + minuteMs };
}

/** What is used of every budget that has been touched in its period, the fullest first. */
export async function usedBudgets(db: Database, most: number) {
  const rows = await budgetRows(db, most);
  return rows.map(({ key, used, most: limit }) => {
    const [, of = "", ...rest] = key.split(":");
    const [period, label] = periodIn(rest);
    const owner = rest.slice(0, rest.indexOf(period)).join(":");
    return { of, owner, period, label, used, limit, share: Math.round((100 * used) / limit) };
  });
}

/** The end of a key: `day:2026-11-26`, `minute:2026-11-26T10:15`. */
function periodIn(parts: readonly string[]): readonly [string, string] {
  const at = parts.findLastIndex((part) => /^(minute|day|month)$/.test(part));
  return [parts[at] ?? "", parts.slice(at + 1).join(":")];
}
