import { rotateKeys } from "#src/agents/tokens/signing-keys.ts";
import { command, group, withApp } from "../command.ts";
import { print, tell } from "../terminal.ts";

const rotate = command({
  name: "keys rotate",
  description:
    "Let the next key sign access tokens; the current one goes on proving what it signed",
  args: {
    lost: {
      type: "boolean",
      description: "A key has leaked: end every token that earlier keys signed, within two seconds",
    },
    json: { type: "boolean", description: "Print one JSON object" },
  },
  run: async ({ json, lost }) => {
    const isLost = lost === true;
    const kid = await withApp({ role: "command" }, (app) => rotateKeys(app, { isLost }));
    if (json === true) return print(JSON.stringify({ kid, isLost }));
    tell(`Access tokens are signed with key ${kid} from now on.`);
    if (isLost) tell("Every earlier token ends within two seconds; agents have to refresh.");
  },
});

export const keys = group({
  name: "keys",
  description: "The keys that sign access tokens",
  subCommands: { rotate },
});
