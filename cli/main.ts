import { type CommandDef, defineCommand, renderUsage, runCommand } from "citty";
import { version } from "#src/runtime/runtime.ts";
import { Failure } from "#src/failure.ts";
import { examplesOf } from "./command.ts";
import { subCommands } from "./table-of-commands.ts";
import { print, tellFailure } from "./terminal.ts";

const main = defineCommand({
  meta: {
    name: "smartdash",
    version: version.number,
    description:
      "OAuth + MCP gateway: agents act on a person's accounts without ever holding a credential",
  },
  subCommands,
});

const [usageExit, ourFault] = [2, 70];
const wantsHelp = new Set(["--help", "-h", "help"]);

async function run(words: readonly string[]): Promise<void> {
  const [first, ...rest] = words;
  if (first === "--version" || first === "-v")
    return print(`smartdash ${version.number} (${version.revision})`);
  if (first === undefined || wantsHelp.has(first)) return print(await usage());
  if (!(first in subCommands)) throw usageFailure(`Unknown command: '${first}'`);
  // Completion hands on the words of another command line.
  const own = first === "complete" && rest[0] === "--" ? [] : rest;
  const isAsked = own.some((word) => word === "--help" || word === "-h");
  if (isAsked) return print(await usage(first, rest));
  await runCommand(main, { rawArgs: [...words] });
}

async function usage(name?: string, rest: readonly string[] = []): Promise<string> {
  const command = name === undefined ? undefined : await load(name);
  const inner = command === undefined ? undefined : await innerCommand(command, rest);
  const shown = inner ?? command;
  const text = shown === undefined ? await renderUsage(main) : await renderUsage(shown, main);
  const examples = shown === undefined ? [] : examplesOf(shown);
  const lines = examples.map((example) => `  ${example}\n`).join("");
  const whole = lines === "" ? text : `${text.trimEnd()}\n\nEXAMPLES\n\n${lines}`;
  return process.stdout.isTTY ? whole : withoutColours(whole);
}

/** `agents add --help` is about `agents add`. */
async function innerCommand(command: CommandDef, rest: readonly string[]) {
  const { subCommands: inner } = command;
  const known = typeof inner === "function" ? await inner() : await inner;
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

// A command that meets an error nobody has caught ends with it; a gateway catches its own (`catchStray`).
process.on("uncaughtException", (error) => {
  if (process.listenerCount("uncaughtException") > 1) return;
  tellFailure(error);
  process.exit(ourFault);
});

try {
  await run(process.argv.slice(2));
} catch (error) {
  tellFailure(asUsage(error), process.argv.includes("--json"));
  process.exitCode = usageExit;
}

/** citty throws errors of its own for a missing option or subcommand. */
function asUsage(error: unknown): unknown {
  const isCitty = error instanceof Error && !(error instanceof Failure) && "code" in error;
  const words = process.argv.slice(2);
  const end = words.findIndex((word) => word.startsWith("-"));
  const named = words.slice(0, end === -1 ? 2 : Math.min(end, 2)).join(" ");
  if (!isCitty) return error;
  const message = withoutColours(error.message);
  const ofGroup = asUsageOfGroup(words[0] ?? "", message);
  return ofGroup ?? usageFailure(message, `smartdash ${named} --help shows how`);
}

/** A group whose command is missing, or unknown. */
function asUsageOfGroup(group: string, message: string): Failure | undefined {
  const [, unknown] = /^Unknown command (.+)$/.exec(message) ?? [];
  if (unknown === undefined && !message.startsWith("No command")) return undefined;
  const what =
    unknown === undefined
      ? `smartdash ${group} needs a command`
      : `Unknown command: '${group} ${unknown}'`;
  return usageFailure(what, `smartdash ${group} --help lists its commands`);
}
