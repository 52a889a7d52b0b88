import {
  type ArgsDef,
  type CommandDef,
  type ParsedArgs,
  type SubCommandsDef,
  defineCommand,
} from "citty";
import { loadRuntime } from "#src/runtime/load.ts";
import { type App, type OpenOptions, openApp } from "#src/app.ts";
import { Failure, codeOf } from "#src/failure.ts";
import { environment } from "./environment.ts";
import { isWatched, print, tell, tellFailure } from "./terminal.ts";

/** What a command has to say when it is done. */
export type Outcome = {
  /** What `--json` prints, as one object on stdout; its fields stay. */
  readonly json: object;
  /** The result for people, on stdout. */
  readonly text?: string;
  /** What else people are told, on stderr. */
  readonly talk?: string;
  /** Told on a terminal alone: cron would send mail about it. */
  readonly chat?: string;
  /** 1 found something, 75 try again. */
  readonly exit?: 1 | 75;
};

type Definition<T extends ArgsDef> = {
  readonly name: string;
  readonly description: string;
  /** Whole command lines, the usual one first. */
  readonly examples: readonly string[];
  readonly args: T;
  /** Nothing when it has printed by itself. */
  run(args: ParsedArgs<T & typeof common>): Promise<Outcome | void>;
};

const ourFault = 70;
const common = {
  json: { type: "boolean", description: "Print one JSON object" },
} as const satisfies ArgsDef;

const examples = new WeakMap<object, readonly string[]>();

/** A subcommand that prints its outcome and turns every failure into words and an exit code. */
export function command<const T extends ArgsDef>(definition: Definition<T>): CommandDef {
  const { name, description } = definition;
  const args = { ...definition.args, ...common };
  const made = defineCommand({
    meta: { name, description },
    args,
    run: async (context) => {
      const isJson = context.args.json === true;
      try {
        refuseUnknown({ name, args }, context.args);
        refuseWithoutValue({ name, args }, context.rawArgs);
        const outcome = await definition.run(context.args);
        if (outcome !== undefined) show(outcome, isJson);
      } catch (error) {
        process.exitCode = tellFailure(error, isJson).meaning.exit ?? ourFault;
      }
    },
  });
  examples.set(made, definition.examples);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what differs is the type of its arguments
  return made as unknown as CommandDef;
}

/** Commands about one thing. */
export function group(definition: {
  readonly name: string;
  readonly description: string;
  readonly subCommands: SubCommandsDef;
}): CommandDef {
  const { name, description, subCommands } = definition;
  return defineCommand({ meta: { name, description }, subCommands });
}

/** The command lines that show how a command is used. */
export function examplesOf(made: object): readonly string[] {
  return examples.get(made) ?? [];
}

function show({ json, text, talk, chat, exit }: Outcome, isJson: boolean): void {
  if (exit !== undefined) process.exitCode = exit;
  process.stdout.on("error", passOverBrokenPipe);
  if (isJson) return print(visibly(JSON.stringify(json)));
  if (text !== undefined && text !== "") print(text);
  if (talk !== undefined && talk !== "") tell(talk);
  if (chat !== undefined && isWatched) tell(chat);
}

/** `smartdash licenses | head`: whoever reads may leave before the end. */
function passOverBrokenPipe(error: Error): void {
  if (codeOf(error) !== "EPIPE") throw error;
}

/** The same JSON, without what a terminal would obey or nobody would see. */
function visibly(json: string): string {
  return json.replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => String.raw`\u` + character.charCodeAt(at).toString(16).padStart(4, "0"),
    ).join(""),
  );
}

/**
 * citty passes over what it does not know; a mistyped option would then act with its default. Words beyond
 * those that a command names are mistakes too.
 */
function refuseUnknown(definition: { name: string; args: ArgsDef }, given: object): void {
  const { _: all, ...options } = { _: [], ...given };
  const wanted = Object.values(definition.args).filter(({ type }) => type === "positional").length;
  const unknown = Object.keys(options)
    .map((option) => option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`))
    .find((option) => !(option in definition.args));
  const word: string | undefined = all[wanted];
  if (unknown === undefined && word === undefined) return;
  const what = unknown === undefined ? `'${word}'` : `--${unknown}`;
  throw new Failure("usage", `smartdash ${definition.name} does not know ${what}`, {
    hint: `smartdash ${definition.name} --help lists its options`,
  });
}

/** citty takes an option without its value for an empty one, or the option behind it for its value. */
function refuseWithoutValue(
  { name, args }: { readonly name: string; readonly args: ArgsDef },
  words: readonly string[],
): void {
  const end = words.indexOf("--");
  const own = end === -1 ? words : words.slice(0, end);
  const lacking = own.find((word, at) => lacksValue(args, word, own[at + 1]));
  if (lacking === undefined) return;
  throw new Failure("usage", `${lacking.split("=")[0]} needs a value`, {
    hint: `smartdash ${name} --help lists its options`,
  });
}

function lacksValue(args: ArgsDef, word: string, next = ""): boolean {
  const [, option = "", given] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
  const type = args[option]?.type;
  if (type !== "string" && type !== "enum") return false;
  return given === undefined ? next === "" || isOption(args, next) : given === "";
}

function isOption(args: ArgsDef, word: string): boolean {
  const [name = ""] = word.replace(/^--(no-)?/, "").split("=");
  return word.startsWith("--") && name in args;
}

/** Opens the app for one piece of work and closes it again, whatever happens. */
export async function withApp<T>(
  options: Pick<OpenOptions, "role"> & Partial<OpenOptions>,
  work: (app: App) => Promise<T>,
): Promise<T> {
  const runtime = await loadRuntime();
  const opened = await openApp({ environment: environment(), runtime, ...options });
  try {
    return await work(opened.app);
  } finally {
    await opened.close();
  }
}
