import { allSwitches } from "#src/guards/store.ts";
import { switchOff, switchOn } from "#src/guards/switches.ts";
import { command, group, withApp } from "../command.ts";
import { patiently, table } from "../terminal.ts";

const upstream = {
  type: "positional",
  required: true,
  description: "Name of the upstream",
} as const;

const off = command({
  name: "switch off",
  description: "Switch an upstream off on every gateway, until it is switched on again",
  examples: ['smartdash switch off mercadolibre --reason "agents make it worse"'],
  args: { upstream, reason: { type: "string", description: "What agents are told" } },
  run: async ({ upstream: name, reason }) => {
    const work = withApp({ role: "command" }, (app) => switchOff(app, name, reason));
    const { streamsCut } = await patiently(() => "Asking the gateways what they have cut", work);
    return {
      json: { upstream: name, state: "off", streamsCut },
      talk: `${name} is off: calls get 503 upstream_switched_off. Streams cut: ${streamsCut}.`,
    };
  },
});

const on = command({
  name: "switch on",
  description: "Switch an upstream on again",
  examples: ["smartdash switch on mercadolibre"],
  args: { upstream },
  run: async ({ upstream: name }) => {
    const wasOff = await withApp({ role: "command" }, (app) => switchOn(app, name));
    return {
      json: { upstream: name, state: "on", wasOff },
      talk: wasOff ? `${name} is on again, within two seconds everywhere.` : `${name} was on.`,
    };
  },
});

const list = command({
  name: "switch list",
  description: "Say what is switched off",
  examples: ["smartdash switch list"],
  args: {},
  run: async () => {
    const rows = await withApp({ role: "command" }, ({ db }) => allSwitches(db));
    const json = rows.map(({ subject, reason, at }) => ({ subject, reason, since: at }));
    if (rows.length === 0) return { json: { off: json }, talk: "Nothing is switched off." };
    const lines = rows.map(({ subject, reason, at }) => [
      subject.replace(/^upstream:/, ""),
      at.toISOString().slice(0, 16),
      reason ?? "",
    ]);
    return { json: { off: json }, text: table(["off", "since (UTC)", "reason"], lines) };
  },
});

export const switchCommand = group({
  name: "switch",
  description: "Disable MCP for a while: it survives restarts and holds on every gateway",
  subCommands: { off, on, list },
});
