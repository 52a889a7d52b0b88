import { usedBudgets } from "#src/policy/budgets.ts";
import { command, withApp } from "../command.ts";
import { table } from "../terminal.ts";

const most = 1000;

export const budgets = command({
  name: "budgets",
  description: "Show how much of their budgets agents and accounts have used",
  examples: ["smartdash budgets", "smartdash budgets --json"],
  args: {},
  run: async () => {
    const found = await withApp({ role: "command" }, ({ db }) => usedBudgets(db, most));
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
