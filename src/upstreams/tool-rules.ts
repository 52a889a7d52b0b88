import { type Rate, readRate } from "#src/config/guards.ts";
import { isObject } from "#src/json.ts";

/** A tool's name, a glob (`list_*`), or `@read-only`, `@writing`, `@destructive` by its annotations. */
export type ToolPattern = string;

/** Which tools an agent or a permission may use; null allows every one. */
export type ToolPolicy = {
  readonly allow: readonly ToolPattern[] | null;
  readonly deny: readonly ToolPattern[];
  /** These wait for a person's yes. */
  readonly approve: readonly ToolPattern[];
};

/** What agents may do with an upstream's tools. */
export type ToolRules = ToolPolicy & {
  /** Limits of single tools, for all agents together; the first that fits. */
  readonly limits: readonly (readonly [ToolPattern, Rate])[];
  /** How often the same call may bring the same result; the first that fits. */
  readonly repeats: readonly (readonly [ToolPattern, Rate | "off"])[];
  /** Instead of SMARTDASH_TOOL_PINNING. */
  readonly pinning: "hold" | "report" | "off" | undefined;
};

export const noToolRules: ToolRules = {
  allow: null,
  deny: [],
  approve: [],
  limits: [],
  repeats: [],
  pinning: undefined,
};

type ReadToolRules = { readonly rules: ToolRules; readonly problems: readonly string[] };

const fields = ["allow", "deny", "approve", "limits", "repeats", "pinning"];

/**
 * The field `tools` of an upstream: `{"allow": ["list_*"], "deny": ["@destructive"], "approve": ["answer_*"],
 * "limits": {"search_*": "10/60s"}, "repeats": {"get_status": "60/60s", "ping": "off"}, "pinning": "report"}`.
 */
export function readToolRules(
  name: string,
  value: unknown,
  base: ToolRules = noToolRules,
): ReadToolRules {
  if (value === undefined) return { rules: base, problems: [] };
  const place = `${name}.tools`;
  if (!isObject(value)) return { rules: noToolRules, problems: [`${place} must be an object`] };
  const problems = Object.keys(value)
    .filter((field) => !fields.includes(field))
    .map((field) => `${place}.${field} is not one of ${fields.join(", ")}`);
  const list = (field: string) => {
    const given = value[field];
    if (given === undefined) return undefined;
    if (Array.isArray(given)) {
      const texts = given.filter((each) => typeof each === "string");
      if (texts.length === given.length && texts.every(isToolPattern)) return texts;
    }
    problems.push(`${place}.${field} must be a list of names, globs, ${annotations.join(", ")}`);
    return undefined;
  };
  const rates = <T>(field: string, read: (text: string) => T | undefined) => {
    const given = value[field] ?? {};
    const pairs = isObject(given) ? Object.entries(given) : [["", undefined] as const];
    return pairs.flatMap(([pattern, text]) => {
      const rate = typeof text === "string" ? read(text) : undefined;
      if (rate !== undefined && isToolPattern(pattern)) return [[pattern, rate] as const];
      problems.push(`${place}.${field} must be like {"search_*": "10/60s"}`);
      return [];
    });
  };
  const pinning = pinnings.find((each) => each === value["pinning"]);
  if (pinning === undefined && value["pinning"] !== undefined) {
    problems.push(`${place}.pinning must be one of ${pinnings.join(", ")}`);
  }
  const rules = {
    allow: list("allow") ?? null,
    deny: list("deny") ?? [],
    approve: list("approve") ?? [],
    limits: rates("limits", readRate),
    repeats: rates("repeats", (text) => (text === "off" ? "off" : readRate(text))),
    pinning: pinning ?? base.pinning,
  };
  return { rules, problems };
}

const pinnings = ["hold", "report", "off"] as const;
const annotations = ["@read-only", "@writing", "@destructive"];

/** Whether `value` is a name, a glob or a word for annotations. */
export function isToolPattern(value: unknown): boolean {
  if (typeof value !== "string" || value === "" || value.length > 128) return false;
  return !value.startsWith("@") || annotations.includes(value);
}
