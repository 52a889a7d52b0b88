import tab from "@bomb.sh/tab/citty";
import { type SubCommandsDef, defineCommand, runCommand } from "citty";
import { version } from "#src/runtime/runtime.ts";
import { Failure } from "#src/failure.ts";
import { tellFailure } from "../terminal.ts";

/** `--`: the script asks what could come next. */
const shells = new Set(["bash", "zsh", "fish", "--"]);

/** Prints a script for the shell; the script asks this command which of `subCommands` could come next. */
export const completeFor = (subCommands: SubCommandsDef) =>
  defineCommand({
    meta: {
      name: "complete",
      description: "Print shell completion: complete bash, complete zsh, complete fish",
    },
    args: {
      shell: { type: "positional", required: false, description: "bash, zsh or fish" },
    },
    run: async ({ rawArgs }) => {
      const [shell = ""] = rawArgs;
      if (!shells.has(shell)) {
        tellFailure(new Failure("usage", "smartdash complete takes bash, zsh or fish"));
        process.exitCode = 2;
        return;
      }
      const main = defineCommand({
        meta: { name: "smartdash", version: version.number, description: "OAuth + MCP gateway" },
        subCommands,
      });
      await tab(main);
      await runCommand(main, { rawArgs: ["complete", ...rawArgs] });
    },
  });
