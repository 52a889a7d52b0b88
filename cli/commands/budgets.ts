import { budgetRows } from "#src/policy/rates/store.ts";
import { command, withApp } from "../command.ts";
import { table } from "../terminal.ts";

const most = 1000;

export const budgets = command({
  name: "budgets",
  description: "Show how much of their budgets agents and accounts have used",
  examples: ["smartdash budgets", "smartdash budgets --json"],
  args: {},
  run: async () => {
    const rows = await withApp({ role: "command" }, ({ db }) => budgetRows(db, most));
    const found = rows.map(({ key, used, most: limit }) => {
      const [, of, ...rest] = key.split(":");
      const [period, label] = periodIn(rest);
      const owner = rest.slice(0, rest.indexOf(period)).join(":");
      return { of, owner, period, label, used, limit, share: Math.round((100 * used) / limit) };
    });
    if (found.length === 0) return { json: { budgets: found }, talk: "Nothing is used yet." };
    const lines = found.map((each) => [
      `${each.share} %`,
      `${each.used}/${each.limit}`,
      each.label,
      each.owner,
    ]);
    return { json: { budgets: found }, text: table(["share", "calls", "period", "of"], lines) };
  },
});

/** The end of a key: `day:2026-11-26`, `minute:2026-11-26T10:15`. */
function periodIn(parts: readonly string[]): readonly [string, string] {
  const at = parts.findLastIndex((part) => /^(minute|day|month)$/.test(part));
  return [parts[at] ?? "", parts.slice(at + 1).join(":")];
}
