import type { Reader } from "./read.ts";
import type { SettingName } from "./settings.ts";

/** So many calls in a time, and so many of them at once. */
export type Rate = { readonly calls: number; readonly perMs: number; readonly burst: number };

const limitKinds = ["agent", "person", "account", "upstream", "tool", "address"] as const;
export type LimitKind = (typeof limitKinds)[number];

export const budgetPeriods = ["minute", "day", "month"] as const;
export type Budget = {
  readonly of: "agent" | "account";
  readonly calls: number;
  readonly period: (typeof budgetPeriods)[number];
};

/** What agents may do how often, and what a person is asked about. */
export type GuardsConfig = {
  readonly limits: Readonly<Partial<Record<LimitKind, Rate>>>;
  readonly budgets: readonly Budget[];
  readonly callsAtOnce: number;
  readonly streamsAtOnce: number;
  readonly bodyBytesAtOnce: number;
  readonly bodyBytesInAll: number;
  readonly findsLoops: boolean;
  readonly pinning: "hold" | "report" | "off";
  readonly approval: "destructive" | "policy" | "off";
  /** Origins of browser clients. */
  readonly allowedOrigins: readonly string[];
};

const [mebibyte, mostBodyMebibytes] = [1024 * 1024, 4];

export function guardsFrom(read: Reader): GuardsConfig {
  checkBodyBounds(read);
  return {
    limits: limitsFrom(read),
    budgets: budgetsFrom(read),
    callsAtOnce: read.number("SMARTDASH_CALLS_AT_ONCE"),
    streamsAtOnce: read.number("SMARTDASH_STREAMS_AT_ONCE"),
    bodyBytesAtOnce: read.number("SMARTDASH_BODY_MIB_AT_ONCE") * mebibyte,
    bodyBytesInAll: read.number("SMARTDASH_BODY_MIB_IN_ALL") * mebibyte,
    findsLoops: read.flag("SMARTDASH_LOOPS"),
    pinning: oneOf(["hold", "report", "off"], read.text("SMARTDASH_TOOL_PINNING")),
    approval: oneOf(["destructive", "policy", "off"], read.text("SMARTDASH_APPROVAL")),
    allowedOrigins: originsFrom(read),
  };
}

/** One whole body has to fit, or it is refused for ever. */
function checkBodyBounds(read: Reader): void {
  const [atOnce, inAll] = ["SMARTDASH_BODY_MIB_AT_ONCE", "SMARTDASH_BODY_MIB_IN_ALL"] as const;
  if (read.number(atOnce) < mostBodyMebibytes)
    read.problems.push({
      setting: atOnce,
      message: `must be ${mostBodyMebibytes} or more: a body may be that large`,
    });
  if (read.number(inAll) < read.number(atOnce))
    read.problems.push({
      setting: inAll,
      message: `must be as much as ${atOnce} (${read.number(atOnce)}), or more`,
    });
}

/** `100/60s` or `100/60s:20`; undefined when it is anything else. */
export function readRate(text: string): Rate | undefined {
  const [, calls, seconds, burst] = /^(\d{1,9})\/(\d{1,6})s(?::(\d{1,9}))?$/.exec(text) ?? [];
  const rate = {
    calls: Number(calls),
    perMs: Number(seconds) * 1000,
    burst: Number(burst ?? calls),
  };
  return rate.calls > 0 && rate.perMs > 0 && rate.burst > 0 ? rate : undefined;
}

function limitsFrom(read: Reader): GuardsConfig["limits"] {
  const limits: Partial<Record<LimitKind, Rate>> = {};
  for (const [name, value] of pairsOf(read, "SMARTDASH_LIMITS")) {
    const kind = limitKinds.find((each) => each === name);
    const rate = readRate(value);
    if (kind !== undefined && rate !== undefined) limits[kind] = rate;
    else complain(read, "SMARTDASH_LIMITS", `agent=100/60s: ${limitKinds.join(", ")}; or off`);
  }
  return limits;
}

function budgetsFrom(read: Reader): readonly Budget[] {
  return pairsOf(read, "SMARTDASH_BUDGETS").flatMap(([name, value]) => {
    const [, calls, word] = /^(\d{1,9})\/([a-z]+)$/.exec(value) ?? [];
    const period = budgetPeriods.find((each) => each === word);
    const isOwner = name === "agent" || name === "account";
    if (isOwner && period !== undefined && Number(calls) > 0) {
      return [{ of: name, calls: Number(calls), period }];
    }
    complain(read, "SMARTDASH_BUDGETS", "agent=5000/day or account=100000/month; or off");
    return [];
  });
}

function pairsOf(read: Reader, name: SettingName): readonly (readonly [string, string])[] {
  const parts = read.list(name).filter((part) => part !== "off");
  return parts.map((part) => {
    const mark = part.indexOf("=");
    return [part.slice(0, Math.max(mark, 0)), part.slice(mark + 1)] as const;
  });
}

function complain(read: Reader, setting: SettingName, example: string): void {
  read.problems.push({ setting, message: `must be like ${example}` });
}

function originsFrom(read: Reader): readonly string[] {
  return read.list("ALLOWED_ORIGINS").filter((text) => {
    const isOrigin = URL.canParse(text) && new URL(text).origin === text;
    if (!isOrigin) {
      const message = `must be origins such as https://app.example.com, without a path: ${text}`;
      read.problems.push({ setting: "ALLOWED_ORIGINS", message });
    }
    return isOrigin;
  });
}

export function oneOf<T extends string>(
  choices: readonly [T, ...T[]],
  text: string | undefined,
): T {
  return choices.find((choice) => choice === text) ?? choices[0];
}
