import { html } from "hono/html";
import type { App } from "#src/app.ts";
import type { Language } from "#src/http/language.ts";
import { type DayCount, dayCounts } from "#src/proxy/call-count-store.ts";
import { agentsCallingFor, latestCallsOf } from "#src/proxy/person-call-store.ts";
import { timely } from "#src/clock.ts";
import { barChart } from "./chart.ts";
import { dateIn, dayMs, dayOf, exactly } from "./dates.ts";
import type { Markup } from "./page.ts";
import { say } from "./words.ts";

/** How many days the charts show, and how far back a last use is looked for. */
const [shownDays, knownDays] = [14, 30];

/** When and how much something was used. */
type Use = {
  readonly lastUse: { readonly at: Date; readonly isWholeDay: boolean } | undefined;
  /** One for each day up to today, the oldest first. */
  readonly days: readonly {
    readonly day: Date;
    readonly calls: number;
    readonly refused: number;
  }[];
};

/** How each account, and each agent (`grant:ID`, `session:ID`), was used lately. */
export type Usage = {
  ofAccount(id: string): Use;
  ofAgent(caller: string): Use;
};

/** What the counts and the newest calls say about everything that a person has here. */
export async function usageOf(app: Pick<App, "db" | "now">, personId: string): Promise<Usage> {
  const now = app.now();
  const today = new Date(Math.floor(now.getTime() / dayMs) * dayMs);
  const since = new Date(today.getTime() - (knownDays - 1) * dayMs);
  const [agents, { lastUses }] = await Promise.all([
    timely(agentsCallingFor(app.db, { personId, since })),
    timely(latestCallsOf(app.db, personId)),
  ]);
  const callers = agents.map(({ caller }) => caller);
  const counts = await timely(dayCounts(app.db, { callers, since }));
  const byCaller = Map.groupBy(counts, ({ caller }) => caller);
  const byAccount = Map.groupBy(counts, ({ account }) => account);
  return {
    ofAccount: (id) => useOf(byAccount.get(id) ?? [], lastUses.get(`account:${id}`), today),
    ofAgent: (caller) => useOf(byCaller.get(caller) ?? [], lastUses.get(caller), today),
  };
}

function useOf(counts: readonly DayCount[], lastCall: Date | undefined, today: Date): Use {
  const byDay = Map.groupBy(counts, ({ day }) => day.getTime());
  const days = Array.from({ length: shownDays }, (_, index) => {
    const day = new Date(today.getTime() - (shownDays - 1 - index) * dayMs);
    const own = byDay.get(day.getTime()) ?? [];
    return { day, calls: sumOf(own, "calls"), refused: sumOf(own, "refused") };
  });
  const lastDay = counts.at(-1)?.day;
  if (lastCall !== undefined) return { days, lastUse: { at: lastCall, isWholeDay: false } };
  return { days, lastUse: lastDay && { at: lastDay, isWholeDay: true } };
}

function sumOf(counts: readonly DayCount[], field: "calls" | "refused"): number {
  return counts.reduce((sum, each) => sum + each[field], 0);
}

/** `Last used 3 hours ago`, for a line of a row. */
export function lastUse(language: Language, { lastUse: last }: Use, now: Date): Markup {
  if (last === undefined) return html`${say(language, "not_used", { days: String(knownDays) })}`;
  const { at, isWholeDay } = last;
  const when = isWholeDay ? dateIn(language, at) : agoIn(language, at, now);
  return html`${say(language, "last_use", { when: "" })}<time
      datetime="${isWholeDay ? dayOf(at) : at.toISOString()}"
      title="${isWholeDay ? dayOf(at) : exactly(at)}"
      >${when}</time
    >`;
}

/** The calls of the last 14 days, refused ones in another colour; nothing where there were none. */
export function usageChart(language: Language, { days }: Use): Markup | "" {
  const calls = days.reduce((sum, each) => sum + each.calls, 0);
  const refused = days.reduce((sum, each) => sum + each.refused, 0);
  if (calls === 0) return "";
  return barChart({
    bars: days.map((each) => ({
      value: each.calls - each.refused,
      extra: each.refused,
      title: `${dateIn(language, each.day)}: ${countsIn(language, each)}`,
    })),
    title: say(language, "chart_days", {
      days: String(shownDays),
      calls: countIn(language, "calls", calls),
      refused: countIn(language, "refused", refused),
    }),
    width: 98,
    height: 28,
  });
}

function countsIn(language: Language, { calls, refused }: { calls: number; refused: number }) {
  return `${countIn(language, "calls", calls)}, ${countIn(language, "refused", refused)}`;
}

function countIn(language: Language, what: "calls" | "refused", count: number): string {
  const shown = count.toLocaleString(language);
  return say(language, count === 1 ? `${what}_one` : `${what}_many`, { count: shown });
}

const steps = [
  { unit: "day", ms: dayMs },
  { unit: "hour", ms: 3_600_000 },
  { unit: "minute", ms: 60_000 },
] as const;

function agoIn(language: Language, at: Date, now: Date): string {
  const ageMs = now.getTime() - at.getTime();
  const step = steps.find(({ ms }) => ageMs >= ms);
  if (step === undefined) return say(language, "just_now");
  const format = new Intl.RelativeTimeFormat(language, { numeric: "always" });
  return format.format(-Math.floor(ageMs / step.ms), step.unit);
}
