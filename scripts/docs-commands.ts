import type { CommandDef, CommandMeta } from "citty";
import { chapters, problems } from "#src/check/rules.ts";
import { subCommands } from "#cli/table-of-commands.ts";
import { code, table } from "./markdown.ts";

type Shown = Pick<CommandDef, "meta" | "args" | "subCommands">;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only what is the same for every kind of arguments is read
const commands = (await Promise.all(
  Object.values(subCommands).map((load) => load()),
)) as readonly Shown[];

/** As `--help` says it. */
export function commandsTable(): string {
  const all = commands.flatMap((each) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- cli/command.ts makes plain objects
    const inner = Object.values(each.subCommands ?? {}) as readonly Shown[];
    return [each].concat(inner);
  });
  const rows = all.map(({ meta, args }) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- cli/command.ts makes both plain objects
    const { name = "", description = "" } = meta as CommandMeta;
    const words = Object.entries(args ?? {})
      .filter(([option]) => option !== "json")
      .map(([option, { type }]) =>
        type === "positional" ? code(option.toUpperCase()) : code(`--${option}`),
      );
    return [code(`smartdash ${name}`), description, words.join(" ")];
  });
  return table(["Command", "What it does", "Options"], rows);
}

/** What `smartdash check` can find, by chapter. */
export function findingSections(): string {
  const all = Object.entries(problems);
  return Object.entries(chapters)
    .map(([number, title]) => {
      const here = all.filter(([, { chapter }]) => String(chapter) === number);
      const sections = here.map(
        ([name, { status, remedy }]) => `### ${name}\n\n${status}: ${remedy}`,
      );
      return `## ${number}. ${title}\n\n${sections.join("\n\n") || "Nothing of its own."}`;
    })
    .join("\n\n");
}
