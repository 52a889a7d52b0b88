import { html } from "hono/html";
import { Failure } from "#src/failure.ts";
import { acknowledge, testAlerts } from "#src/operations/alerts/alerts.ts";
import { type Alert, allAlerts, isAcknowledged } from "#src/operations/alerts/alert-store.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
import { type Markup, seeOther } from "../page.ts";
import { type ConsoleDeps, pageRows } from "./deps.ts";
import type { Sent } from "./mount.ts";
import {
  type View,
  actionButton,
  badge,
  consolePage,
  nextPage,
  tableOf,
  timeAt,
} from "./layout.ts";
import { told } from "./words.ts";

/** Open alerts, then past ones; who has seen them, and where they are sent. */
export async function alertsPage(
  app: ConsoleDeps,
  view: View,
  shown: { readonly query?: URLSearchParams; readonly result?: Markup } = {},
): Promise<Response> {
  const { language } = view;
  const page = Number(/^[1-9]\d?$/.exec(shown.query?.get("page") ?? "")?.[0] ?? 1);
  const all = await timely(allAlerts(app.db));
  const rows = all.slice((page - 1) * pageRows, page * pageRows);
  const headings = [
    ...(["state", "what", "why", "since", "who"] as const).map((word) => told(language, word)),
    "",
  ];
  const body = html`${shown.result ?? ""}
    <p class="actions">
      ${actionButton(view, { action: "/console/alerts/test", label: told(language, "test_alerts") })}
    </p>
    ${tableOf(
      headings,
      rows.map((row) => alertRow(view, row)),
      told(language, "no_alerts"),
    )}
    ${nextPage(view, all.length <= page * pageRows ? undefined : `/console/alerts?page=${page + 1}`)}`;
  return await consolePage(view, { room: "alerts", body });
}

function alertRow(view: View, alert: Alert) {
  const { language } = view;
  const { kind, subject, state, summary, firedAt, acknowledgedBy } = alert;
  const who = isAcknowledged(alert) ? acknowledgedBy : null;
  const isOpen = state === "firing";
  return [
    badge(told(language, `alert_${state}`), isOpen ? "bad" : "quiet"),
    html`<code>${plain(kind)}</code> ${plain(subject)}`,
    plain(summary),
    timeAt(firedAt),
    who === null ? "" : told(language, "acknowledged", { who: plain(who) }),
    isOpen && who === null
      ? actionButton(view, {
          action: "/console/alerts/acknowledge",
          label: told(language, "acknowledge"),
          about: `${kind} ${plain(subject)}`,
          fields: { kind, subject },
        })
      : "",
  ];
}

/** Notes that somebody has seen an alert. Failures: `not_found` when it does not fire any more. */
export async function acknowledgeOne(
  app: ConsoleDeps,
  { form, note, by }: Sent,
): Promise<Response> {
  const [kind, subject] = ["kind", "subject"].map((name) => form.get(name));
  if (kind == null || subject == null) throw new Failure("form_refused");
  await note("alert_acknowledge", `${kind} ${subject}`);
  await acknowledge(app, { kind, subject, by });
  return seeOther("/console/alerts");
}

/** Sends a test message to every sink, and shows what each has answered. */
export async function testSinks(app: ConsoleDeps, { view, note }: Sent): Promise<Response> {
  await note("alerts_test", "sinks");
  const sent = await testAlerts(app);
  const { language } = view;
  const rows = sent.map(({ sink, isTaken, reason }) => [
    sink,
    isTaken ? badge(told(language, "taken"), "good") : badge(told(language, "failing"), "bad"),
    plain(reason),
  ]);
  return await alertsPage(app, view, {
    result: tableOf(["", told(language, "outcome"), ""], rows, told(language, "no_sinks")),
  });
}
