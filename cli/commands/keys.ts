import { rotateKeys } from "#src/agents/tokens/signing-keys.ts";
import { type Progress, reseal } from "#src/upkeep/keys/reseal.ts";
import { command, group, withApp } from "../command.ts";
import { tell } from "../terminal.ts";

const rotate = command({
  name: "keys rotate",
  description:
    "Let the next key sign access tokens; the current one goes on proving what it signed",
  examples: ["smartdash keys rotate", "smartdash keys rotate --lost"],
  args: {
    lost: {
      type: "boolean",
      description: "A key has leaked: end every token that earlier keys signed, within two seconds",
    },
  },
  run: async ({ lost }) => {
    const isLost = lost === true;
    const kid = await withApp({ role: "command" }, (app) => rotateKeys(app, { isLost }));
    const signs = `Access tokens are signed with key ${kid} from now on.`;
    const ends = "Every earlier token ends within two seconds; agents have to refresh.";
    return { json: { kid, isLost }, talk: isLost ? `${signs}\n${ends}` : signs };
  },
});

const resealing = command({
  name: "keys reseal",
  description:
    "Seal every stored credential anew with the first ENCRYPTION_KEY, while gateways serve",
  examples: ["smartdash keys reseal"],
  args: {},
  run: async () => {
    const tellSometimes = atMostEvery(1000, ({ table, column, done, of }: Progress) =>
      tell(`${table}.${column}: ${done} of ${of}`),
    );
    const { resealed, left } = await withApp({ role: "command" }, (app) =>
      reseal(app, tellSometimes),
    );
    const lines = left.map(
      ({ table, column, keyId, count }) =>
        `${count} of ${table}.${column} are still sealed with the key ${keyId}.`,
    );
    const why = "A gateway may still run with that key as its first, or the key is missing here.";
    const done = `${resealed} values are sealed with the first ENCRYPTION_KEY now.`;
    const json = { resealed, left };
    if (left.length === 0) return { json, talk: done };
    return { json, talk: [done, ...lines, why].join("\n"), exit: 1 };
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
