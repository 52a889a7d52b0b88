import { type CommandDef, defineCommand, renderUsage, runCommand } from "citty";
import { version } from "#src/upkeep/version.ts";
import { print, tellFailure } from "./terminal.ts";
import { Failure } from "#src/failure.ts";

const subCommands = {
  serve: () => import("./commands/serve.ts").then((file) => file.serve),
  demo: () => import("./commands/demo.ts").then((file) => file.demo),
  check: () => import("./commands/check.ts").then((file) => file.check),
  migrate: () => import("./commands/migrate.ts").then((file) => file.migrate),
  health: () => import("./commands/health.ts").then((file) => file.health),
  revoke: () => import("./commands/revoke.ts").then((file) => file.revoke),
  invite: () => import("./commands/invite.ts").then((file) => file.invite),
  agents: () => import("./commands/agents.ts").then((file) => file.agents),
  keys: () => import("./commands/keys.ts").then((file) => file.keys),
} as const;

const main = defineCommand({
  meta: {
    name: "smartdash",
    version: version.number,
    description:
      "OAuth + MCP gateway: agents act on a person's accounts without ever holding a credential",
  },
  subCommands,
});

const usageExit = 2;

async function run(words: readonly string[]): Promise<void> {
  const [first, ...rest] = words;
  if (first === "--version" || first === "-v")
    return print(`smartdash ${version.number} (${version.revision})`);
  if (first === undefined || first === "--help" || first === "-h" || first === "help") {
    return print(await usage());
  }
  if (!(first in subCommands)) throw usageFailure(`There is no command '${first}'`);
  if (rest.includes("--help") || rest.includes("-h")) return print(await usage(first, rest));
  await runCommand(main, { rawArgs: [...words] });
}

async function usage(name?: string, rest: readonly string[] = []): Promise<string> {
  const command = name === undefined ? undefined : await load(name);
  const inner = command === undefined ? undefined : await innerCommand(command, rest);
  const shown = inner ?? command;
  const text = shown === undefined ? await renderUsage(main) : await renderUsage(shown, main);
  return process.stdout.isTTY ? text : withoutColours(text);
}

/** `agents add --help` is about `agents add`. */
async function innerCommand(command: CommandDef, rest: readonly string[]) {
  const { subCommands } = command;
  const known = typeof subCommands === "function" ? await subCommands() : await subCommands;
  const found = known?.[rest.find((word) => !word.startsWith("-")) ?? ""];
  return typeof found === "function" ? await found() : await found;
}

function load(name: string): Promise<CommandDef> | undefined {
  const found: Record<string, (() => Promise<unknown>) | undefined> = subCommands;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- usage is the same for every kind of arguments
  return found[name]?.() as Promise<CommandDef> | undefined;
}

/** citty colours its usage whoever reads it. */
function withoutColours(text: string): string {
  // oxlint-disable-next-line no-control-regex -- escape sequences are control characters
  return text.replace(/\u001b\[[\d;]*m/g, "");
}

function usageFailure(message: string, hint = "smartdash --help lists the commands"): Failure {
  return new Failure("usage", message, { hint });
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  tellFailure(asUsage(error));
  process.exitCode = usageExit;
}

/** citty throws errors of its own for a missing option or subcommand. */
function asUsage(error: unknown): unknown {
  const isCitty = error instanceof Error && !(error instanceof Failure) && "code" in error;
  const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
  if (!isCitty) return error;
  return usageFailure(
    withoutColours(error.message),
    `smartdash ${words.slice(0, 1).join(" ")} --help shows how`,
  );
}
