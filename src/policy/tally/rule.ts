import type { Pace } from "#src/config/guards.ts";
import type { Told } from "./store.ts";

/** So many calls until a moment; milliseconds since 1970. */
export type Sum = { readonly calls: number; readonly endsAt: number };

/** What is counted: a pace (the generic cell rate algorithm) or a sum until a period ends. */
export type Rule = Pace | Sum;

/** What one process has counted under a key and not told yet. */
export type Counted = { readonly key: string; readonly rule: Rule; readonly untold: number };

const untoldShare = 20;
const minuteMs = 60_000;

/** A name that others have chosen, as part of a key: PostgreSQL takes neither NUL nor half a surrogate pair. */
export function inKey(name: string): string {
  return name.replaceAll("\0", "").toWellFormed();
}

/** So much may be counted in one process before the others hear of it: a twentieth of what is allowed. */
export function mostUntold(rule: Rule): number {
  const most = "burst" in rule ? Math.max(rule.calls, rule.burst) : rule.calls;
  return Math.max(Math.floor(most / untoldShare), 1);
}

/** What is told of an entry. `level`: see `Counter.levelAt`; only that of a pace is used. `now` is in milliseconds. */
export function toldOf({ key, rule, untold }: Counted, level: number, now: number): Told {
  if ("endsAt" in rule) {
    const keepMs = Math.max(rule.endsAt - now, 0) + minuteMs;
    return { key, calls: untold, stepMs: null, most: rule.calls, keepMs };
  }
  const stepMs = rule.perMs / rule.calls;
  const keepMs = level + rule.perMs + rule.burst * stepMs + minuteMs;
  return { key, calls: untold, stepMs, most: null, keepMs };
}
