import { allSwitches } from "#src/policy/switch-store.ts";
import { switchOff, switchOn } from "#src/policy/switches.ts";
import { acknowledgedOutcome } from "../acknowledged.ts";
import { command, group, withApp } from "../command.ts";
import { patiently, table } from "../terminal.ts";

const subject = {
  type: "positional",
  required: true,
  description:
    "all, an upstream, provider:NAME, account:PROVIDER:SELLER, agent:CLIENT_ID, tool:UPSTREAM/NAME, grant:ID or session:ID",
} as const;

const off = command({
  name: "switch off",
  description:
    "Switch an upstream, provider, account, agent, tool or all off on every gateway, until it is on again",
  examples: [
    'smartdash switch off mercadolibre --reason "agents make it worse"',
    "smartdash switch off tool:airtable/delete_record",
    "smartdash switch off all",
  ],
  args: { subject, reason: { type: "string", description: "What agents are told" } },
  run: async ({ subject: given, reason }) => {
    const work = withApp({ role: "command" }, (app) => switchOff(app, given, { reason }));
    const done = await patiently(() => "Waiting for the gateways", work);
    const { subject: name, isKnown } = done;
    const told = acknowledgedOutcome(done.acknowledged);
    const code = name.startsWith("upstream:") ? "upstream_switched_off" : "switched_off";
    const what = isKnown
      ? `${name} is off: calls get 503 ${code}.`
      : `Nothing called ${name} has been here: check the spelling. If it ever comes, calls get 503 ${code}.`;
    return {
      json: { subject: name, state: "off", isKnown, ...told.json },
      text: `${what} ${told.text}`,
      talk: told.talk.join("\n"),
      ...told.exit,
    };
  },
});

const on = command({
  name: "switch on",
  description: "Switch something on again; also releases an agent that was stopped in a loop",
  examples: ["smartdash switch on mercadolibre", "smartdash switch on grant:0199…"],
  args: { subject },
  run: async ({ subject: given }) => {
    const done = await withApp({ role: "command" }, (app) => switchOn(app, given));
    const { subject: name, wasOff, isAllOff } = done;
    const but = isAllOff ? " But all is off: calls get 503 until `smartdash switch on all`." : "";
    if (!wasOff) {
      return {
        json: { subject: name, state: "on", wasOff, isAllOff },
        text: `${name} was on.${but}`,
      };
    }
    const told = acknowledgedOutcome(done.acknowledged);
    return {
      json: { subject: name, state: "on", wasOff, isAllOff, ...told.json },
      text: `${name} is on again.${but} ${told.text}`,
      talk: told.talk.join("\n"),
      ...told.exit,
    };
  },
});

const list = command({
  name: "switch list",
  description: "List what is switched off, and which agents were stopped",
  examples: ["smartdash switch list"],
  args: {},
  run: async () => {
    const rows = await withApp({ role: "command" }, ({ db }) => allSwitches(db));
    const json = rows.map(({ subject: name, reason, by, at }) => ({
      subject: name,
      reason,
      by,
      since: at,
    }));
    if (rows.length === 0) return { json: { off: json }, talk: "Nothing is switched off." };
    const lines = rows.map(({ subject: name, reason, by, at }) => [
      at.toISOString().slice(0, 16),
      by,
      `${name} ${reason ?? ""}`.trim(),
    ]);
    return { json: { off: json }, text: table(["since (UTC)", "by", "off, and why"], lines) };
  },
});

export const switchCommand = group({
  name: "switch",
  description: "Switch upstreams, accounts, agents or tools off and on, on every gateway",
  subCommands: { off, on, list },
});
