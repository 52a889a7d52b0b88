import { rotateKeys } from "#src/agents/tokens/signing-keys.ts";
import { type Progress, reseal } from "#src/upkeep/keys/reseal.ts";
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

const resealing = command({
  name: "keys reseal",
  description:
    "Seal every stored credential anew with the first ENCRYPTION_KEY, while gateways serve",
  args: { json: { type: "boolean", description: "Print one JSON object" } },
  run: async ({ json }) => {
    const tellSometimes = atMostEvery(1000, ({ table, column, done, of }: Progress) =>
      tell(`${table}.${column}: ${done} of ${of}`),
    );
    const { resealed, left } = await withApp({ role: "command" }, (app) =>
      reseal(app, tellSometimes),
    );
    if (json === true) print(JSON.stringify({ resealed, left }));
    else tell(`${resealed} values are sealed with the first ENCRYPTION_KEY now.`);
    for (const { table, column, keyId, count } of left) {
      tell(`${count} of ${table}.${column} are still sealed with the key ${keyId}.`);
    }
    if (left.length === 0) return;
    tell("A gateway may still run with that key as its first, or the key is missing here.");
    process.exitCode = 1;
  },
});

function atMostEvery<T>(milliseconds: number, act: (value: T) => void): (value: T) => void {
  let last = performance.now();
  return (value) => {
    if (performance.now() - last < milliseconds) return;
    last = performance.now();
    act(value);
  };
}

export const keys = group({
  name: "keys",
  description: "The keys that sign access tokens, and those that seal credentials",
  subCommands: { rotate, reseal: resealing },
});
