import { acknowledge as acknowledgeAlert, testAlerts } from "#src/operations/alerts/alerts.ts";
import { type Alert, allAlerts } from "#src/operations/alerts/alert-store.ts";
import { command, group, withApp } from "../command.ts";
import { patiently, table } from "../terminal.ts";

const list = command({
  name: "alerts list",
  description: "List open and past alerts",
  examples: ["smartdash alerts list", "smartdash alerts list --json"],
  args: {},
  run: async () => {
    const rows = await withApp({ role: "command" }, ({ db }) => allAlerts(db));
    const alerts = rows.map(shown);
    if (alerts.length === 0) return { json: { alerts }, talk: "There was nothing yet." };
    const lines = rows.map(({ state, kind, subject, firedAt, summary, acknowledgedBy }) => [
      state,
      `${kind} ${subject}`,
      firedAt.toISOString().slice(0, 16),
      acknowledgedBy ?? "",
      summary,
    ]);
    const isFiring = alerts.some(({ state }) => state === "firing");
    return {
      json: { alerts },
      text: table(["state", "kind and subject", "since (UTC)", "seen by", "what"], lines),
      ...(isFiring ? { exit: 1 } : {}),
    };
  },
});

function shown({ kind, subject, state, summary, firedAt, seenAt, pending, ...seen }: Alert) {
  const { acknowledgedAt, acknowledgedBy } = seen;
  const alert = { kind, subject, state, summary, firedAt, seenAt, undelivered: pending };
  return acknowledgedAt === null ? alert : { ...alert, acknowledgedAt, acknowledgedBy };
}

const acknowledge = command({
  name: "alerts acknowledge",
  description: "Note that you have seen an open alert, until it fires anew",
  examples: ["smartdash alerts acknowledge upstream_failing mercadolibre"],
  args: {
    kind: { type: "positional", required: true, description: "Its kind, as alerts list shows it" },
    subject: { type: "positional", required: true, description: "What it is about" },
    by: { type: "string", default: "operator", description: "Who has seen it" },
  },
  run: async ({ kind, subject, by }) => {
    await withApp({ role: "command" }, (app) => acknowledgeAlert(app, { kind, subject, by }));
    return { json: { kind, subject, acknowledgedBy: by }, talk: `Acknowledged by ${by}.` };
  },
});

const test = command({
  name: "alerts test",
  description: "Send a test message to every configured sink",
  examples: ["smartdash alerts test"],
  args: {},
  run: async () => {
    const sent = await patiently(
      () => "Sending",
      withApp({ role: "command" }, (app) => testAlerts(app)),
    );
    const json = { sinks: sent };
    if (sent.length === 0) {
      return { json, talk: "No sink is configured: see ALERT_… in docs/settings.md.", exit: 1 };
    }
    const rows = sent.map(({ sink, isTaken, reason }) => [
      sink,
      isTaken ? "taken" : "not taken",
      reason,
    ]);
    const isWell = sent.every(({ isTaken }) => isTaken);
    return {
      json,
      text: table(["sink", "outcome", "answer"], rows),
      ...(isWell ? {} : { exit: 1 }),
    };
  },
});

export const alerts = group({
  name: "alerts",
  description: "List and acknowledge alerts, and test where they are sent",
  subCommands: { list, acknowledge, test },
});
