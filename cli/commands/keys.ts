import { keysTopic, rotateKeys } from "#src/oauth-server/tokens/signing-keys.ts";
import { untilAcknowledged } from "#src/bus.ts";
import { type Progress, reseal } from "#src/operations/keys/reseal.ts";
import { acknowledgedOutcome } from "../acknowledged.ts";
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
      description: "A key has leaked: end every token that earlier keys signed",
    },
  },
  run: async ({ lost }) => {
    const isLost = lost === true;
    let kid = "";
    const done = await withApp({ role: "command" }, (app) =>
      untilAcknowledged(app, async () => {
        kid = await rotateKeys(app, { isLost });
        return isLost ? [keysTopic] : [];
      }),
    );
    const signs = `Access tokens are signed with key ${kid} from now on.`;
    if (!isLost) return { json: { kid, isLost }, talk: signs };
    const told = acknowledgedOutcome(done);
    const ends = `Every earlier token has ended; agents have to refresh. ${told.text}`;
    return {
      json: { kid, isLost, ...told.json },
      talk: [signs, ends, ...told.talk].join("\n"),
      ...told.exit,
    };
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
    const done =
      resealed === 0 && left.length === 0
        ? "Everything was sealed with the first ENCRYPTION_KEY already."
        : `${resealed} values are sealed with the first ENCRYPTION_KEY now.`;
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
  description: "Rotate the keys that sign access tokens, and reseal credentials",
  subCommands: { rotate, reseal: resealing },
});
