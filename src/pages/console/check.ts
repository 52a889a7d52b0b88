import { html } from "hono/html";
import { isObject, objectIn } from "#src/config/read.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import {
  type CheckReport,
  checkReportWith,
  newestCheckReports,
} from "#src/operations/check-report-store.ts";
import { isCheckRunning } from "#src/operations/check-run.ts";
import { timely } from "#src/timeout.ts";
import { type Markup, seeOther } from "../page.ts";
import type { ConsoleDeps } from "./deps.ts";
import type { Sent } from "./mount.ts";
import {
  type View,
  actionButton,
  badge,
  consolePage,
  factsOf,
  headings,
  tableOf,
  timeAt,
  withCode,
} from "./layout.ts";
import { told } from "./words.ts";

const statuses = ["fail", "warn", "skipped", "pass"] as const;
const moods = { fail: "bad", warn: "warn", skipped: "quiet", pass: "good" } as const;

/** The last reports of `smartdash check`, and a button that makes another. */
export async function checksPage(app: ConsoleDeps, view: View): Promise<Response> {
  const { language } = view;
  const reports = await timely(newestCheckReports(app.db));
  const running = reports.find((report) => isCheckRunning(report, app.now()));
  const counted = statuses.map((status) => ({
    heading: told(language, `check_${status}`),
    isNumber: true,
  }));
  const body = html`<p>${withCode(told(language, "check_lead"))}</p>
    ${running === undefined ? buttons(app, view) : html`<p class="notice">${told(language, "check_running", { by: running.by })} ${timeAt(running.at)}</p>`}
    ${tableOf(
      [...headings(language, "at", "who", "outcome"), ...counted, ""],
      reports.map((report) => reportRow(app, view, report)),
      told(language, "no_checks"),
    )}`;
  return await consolePage(view, { room: "check", body });
}

function buttons({ checkRunner }: ConsoleDeps, view: View): Markup {
  if (checkRunner === undefined)
    return html`<p class="quiet">${withCode(told(view.language, "check_elsewhere"))}</p>`;
  return html`<p class="actions">
    ${(["quick", "whole"] as const).map((extent) =>
      actionButton(view, {
        action: "/console/check",
        label: told(view.language, `check_${extent}`),
        fields: { extent },
      }),
    )}
  </p>`;
}

function reportRow(app: ConsoleDeps, { language }: View, report: CheckReport) {
  const { id, at, by, status, counts } = report;
  const outcome =
    status === null
      ? badge(told(language, isCheckRunning(report, app.now()) ? "runs" : "no_report"), "quiet")
      : badge(told(language, `check_${status}`), moods[status]);
  const link = html`<a href="/console/check/${id}">${told(language, "details")}</a>`;
  const numbers = statuses.map((each) => counts?.[each] ?? "");
  return [timeAt(at), by, outcome, ...numbers, status === null ? "" : link];
}

/** One report: what must be done first, what was well last. Failures: `not_found`. */
export async function checkReportPage(
  app: ConsoleDeps,
  view: View,
  given: string,
): Promise<Response> {
  const { language } = view;
  const id = readId(given);
  const stored = id === undefined ? undefined : await timely(checkReportWith(app.db, id));
  if (stored?.report == null) throw new Failure("not_found");
  const report = objectIn(stored.report) ?? {};
  const build = isObject(report["build"]) ? report["build"] : {};
  const options = isObject(report["options"]) ? report["options"] : {};
  const signature = isObject(report["signature"]) ? report["signature"] : {};
  const findings = (Array.isArray(report["findings"]) ? report["findings"] : []).filter(isObject);
  const sections = statuses.map((status) => {
    const rows = findings
      .filter((finding) => finding["status"] === status)
      .map(({ code, message, hint }) => [
        html`<code>${String(code)}</code>`,
        String(message),
        status !== "pass" && typeof hint === "string" ? hint : "",
      ]);
    const columns = headings(language, "what", "found", "remedy");
    return rows.length === 0
      ? ""
      : html`<h2>${badge(told(language, `check_${status}`), moods[status])} ${rows.length}</h2>
          ${tableOf(columns, rows, undefined)}`;
  });
  const body = html`${factsOf([
      ["checkedAt", stored.at],
      ["by", stored.by],
      ["publicUrl", report["publicUrl"]],
      ["build", `${String(build["number"])} (${String(build["revision"])})`],
      [
        "options",
        Object.entries(options)
          .map(([name, value]) => `${name}: ${String(value)}`)
          .join(", "),
      ],
      ["signed by node", signature["fingerprint"]],
    ])}
    ${sections}
    <p><a class="button plain" href="/console/check">${told(language, "all_checks")}</a></p>`;
  return await consolePage(view, { room: "check", body });
}

/** Runs a check, and shows what is known of it by then. Failures: `form_refused`, `not_found`, `check_running`, `check_not_run`. */
export async function runCheckNow(app: ConsoleDeps, { form, note, by }: Sent): Promise<Response> {
  const extent = form.get("extent");
  if (extent !== "quick" && extent !== "whole") throw new Failure("form_refused");
  if (app.checkRunner === undefined) throw new Failure("not_found");
  await note("check", extent);
  await app.checkRunner.run({ by, isQuick: extent === "quick" });
  return seeOther("/console/check");
}
