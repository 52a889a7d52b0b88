import { html } from "hono/html";
import { isObject, objectIn } from "#src/json.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import {
  type CheckReport,
  checkReportWith,
  newestCheckReports,
} from "#src/operations/check-report-store.ts";
import type { Language } from "#src/http/language.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
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
  const running = reports.find(({ isRunning }) => isRunning);
  const counted = statuses.map((status) => ({
    heading: told(language, `check_${status}`),
    isNumber: true,
  }));
  const body = html`<p>${withCode(told(language, "check_lead"))}</p>
    ${running === undefined ? buttons(app, view) : html`<p class="notice">${told(language, "check_running", { by: running.by })} ${timeAt(running.at)}</p>`}
    ${tableOf(
      [...headings(language, "at", "who", "extent", "outcome"), ...counted, ""],
      reports.map((report) => reportRow(view, report)),
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

function reportRow({ language }: View, report: CheckReport) {
  const { id, at, by, status, counts, extent, isRunning } = report;
  const outcome =
    status === null
      ? badge(told(language, isRunning ? "runs" : "no_report"), isRunning ? "quiet" : "warn")
      : badge(told(language, `check_${status}`), moods[status]);
  const link = html`<a href="/console/check/${id}">${told(language, "details")}</a>`;
  const numbers = statuses.map((each) => counts?.[each] ?? "");
  const what = extent === null ? "" : told(language, `extent_${extent}`);
  return [timeAt(at), by, what, outcome, ...numbers, status === null ? "" : link];
}

/** What the last checks say that somebody has to do something about: a part of the checklist does not answer for all of it. */
export function checksDue(language: Language, reports: readonly CheckReport[]): readonly Markup[] {
  const newest = reports.find(({ isRunning }) => !isRunning);
  const found = [
    reports.find(({ status }) => status !== null),
    reports.find(({ extent }) => extent === "whole"),
  ];
  const failed = [...new Set(found)].filter((each) => each?.status === "fail");
  const link = (id: string, text: string, at: Date) =>
    html`<a href="/console/check${id}">${text}</a> ${timeAt(at)}`;
  return [
    ...failed.flatMap((each) => {
      if (each === undefined) return [];
      const count = each.counts?.["fail"] ?? 1;
      return [link(`/${each.id}`, told(language, "due_check", { count }), each.at)];
    }),
    ...(newest?.status === null ? [link("", told(language, "due_no_report"), newest.at)] : []),
  ];
}

/** One report: what must be done first, what was well last. Failures: `not_found`, also for one that cannot be read. */
export async function checkReportPage(
  app: ConsoleDeps,
  view: View,
  given: string,
): Promise<Response> {
  const { language } = view;
  const id = readId(given);
  const stored = id === undefined ? undefined : await timely(checkReportWith(app.db, id));
  const report = objectIn(stored?.report ?? "");
  const all = report?.["findings"];
  if (stored === undefined || report === undefined || !Array.isArray(all)) {
    throw new Failure("not_found");
  }
  const findings = all.filter(isObject);
  const build = isObject(report["build"]) ? report["build"] : {};
  const options = isObject(report["options"]) ? report["options"] : {};
  const body = html`${factsOf([
      ["checkedAt", stored.at],
      ["by", stored.by],
      ["publicUrl", textOf(report["publicUrl"])],
      ["build", `${textOf(build["number"])} (${textOf(build["revision"])})`],
      [
        "options",
        Object.entries(options)
          .map(([name, value]) => `${name}: ${textOf(value)}`)
          .join(", "),
      ],
    ])}
    ${statuses.map((status) =>
      findingsTable(
        language,
        status,
        findings.filter((each) => statusOf(each) === status),
      ),
    )}
    <p><a class="button plain" href="/console/check">${told(language, "all_checks")}</a></p>`;
  return await consolePage(view, { room: "check", body });
}

type Result = Readonly<Record<string, unknown>>;

/** What nobody knows is no reason to be calm. */
function statusOf({ status }: Result): (typeof statuses)[number] {
  return statuses.find((each) => each === status) ?? "fail";
}

function findingsTable(
  language: Language,
  status: (typeof statuses)[number],
  findings: readonly Result[],
): Markup | "" {
  if (findings.length === 0) return "";
  const isWell = status === "pass" || status === "skipped";
  const rows = findings.map(({ code, message, hint }) => [
    html`<code>${plain(textOf(code))}</code>`,
    textOf(message),
    ...(isWell ? [] : [textOf(hint)]),
  ]);
  const columns = headings(language, "what", "found", ...(isWell ? [] : (["remedy"] as const)));
  return html`<h2>${badge(told(language, `check_${status}`), moods[status])} ${rows.length}</h2>
    ${tableOf(columns, rows, undefined)}`;
}

/** Of what stands in a report; what it should not hold is left out. */
function textOf(value: unknown): string {
  return ["string", "number", "boolean"].includes(typeof value) ? String(value) : "";
}

/** Runs a check, and shows what is known of it by then. Failures: `form_refused`, `not_found`, `check_running`, `check_not_run`. */
export async function runCheckNow(app: ConsoleDeps, { form, note, by }: Sent): Promise<Response> {
  const extent = form.get("extent");
  if (extent !== "quick" && extent !== "whole") throw new Failure("form_refused");
  if (app.checkRunner === undefined) throw new Failure("not_found");
  await note("check_start", extent);
  await app.checkRunner.run({ by, isQuick: extent === "quick" });
  return seeOther("/console/check");
}
