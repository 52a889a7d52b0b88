import {
  type ArgsDef,
  type CommandDef,
  type ParsedArgs,
  type SubCommandsDef,
  defineCommand,
} from "citty";
import { loadRuntime } from "#src/runtime/runtime.ts";
import { type App, type OpenOptions, openApp } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { environment } from "./environment.ts";
import { tellFailure } from "./terminal.ts";

type Definition<T extends ArgsDef> = {
  readonly name: string;
  readonly description: string;
  readonly args: T;
  run(args: ParsedArgs<T>): Promise<void>;
};

const ourFault = 70;

/** A subcommand that turns every failure into words and an exit code. */
export function command<const T extends ArgsDef>(definition: Definition<T>): CommandDef<T> {
  const { name, description, args } = definition;
  return defineCommand({
    meta: { name, description },
    args,
    run: async (context) => {
      try {
        refuseUnknown(definition, context.args);
        await definition.run(context.args);
      } catch (error) {
        process.exitCode = tellFailure(error).meaning.exit ?? ourFault;
      }
    },
  });
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

/** citty passes over what it does not know; a mistyped option would then act with its default. */
function refuseUnknown(definition: { name: string; args: ArgsDef }, given: object): void {
  const { _: words, ...options } = { _: [], ...given };
  const unknown = Object.keys(options)
    .map((option) => option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`))
    .find((option) => !(option in definition.args));
  const [word] = words;
  if (unknown === undefined && word === undefined) return;
  const what = unknown === undefined ? `'${word}'` : `--${unknown}`;
  throw new Failure("usage", `smartdash ${definition.name} does not know ${what}`, {
    hint: `smartdash ${definition.name} --help lists its options`,
  });
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
