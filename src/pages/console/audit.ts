import { html } from "hono/html";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { countCallsOfDay } from "#src/proxy/call-store.ts";
import { operatorActionsBefore } from "#src/operations/console-store.ts";
import { verifyDay } from "#src/proxy/audit.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
import type { Markup } from "../page.ts";
import { type ConsoleDeps, lastOf, pageRows } from "./deps.ts";
import {
  type View,
  badge,
  consolePage,
  headings,
  nextPage,
  tableOf,
  timeAt,
  withCode,
} from "./layout.ts";
import { told } from "./words.ts";

/** Who has changed what here; and whether a day's calls are as they were written, when a day is asked for. */
export async function auditPage(
  app: ConsoleDeps,
  view: View,
  query: URLSearchParams,
): Promise<Response> {
  const { language } = view;
  const day = query.get("day") ?? "";
  const found = day === "" ? "" : await verified(app, view, day);
  const before = readId(query.get("before"));
  const rows = await timely(operatorActionsBefore(app.db, { before, most: pageRows }));
  const last = lastOf(rows);
  const body = html`<h2>${told(language, "verify_day")}</h2>
    <form class="filter" method="get" action="/console/audit">
      <label
        >${told(language, "day")}<br /><input
          type="date"
          name="day"
          value="${day === "" ? app.now().toISOString().slice(0, 10) : day}"
      /></label>
      <button>${told(language, "verify")}</button>
    </form>
    ${found}
    <h2>${told(language, "changes")}</h2>
    ${tableOf(
      [...headings(language, "at", "who", "what", "about", "outcome")],
      rows.map(({ at, actor, action, about, outcome }) => [
        timeAt(at),
        actor,
        html`<code>${plain(action)}</code>`,
        about,
        outcome === "done"
          ? badge(told(language, "action_done"), "good")
          : badge(plain(outcome ?? "?"), "warn"),
      ]),
      told(language, "no_changes"),
    )}
    ${nextPage(view, last && `/console/audit?before=${last.id}`, "older")}`;
  return await consolePage(view, { room: "audit", body });
}

/** More would keep this gateway busy for long: the command is a process of its own. */
const mostVerified = 200_000;
let isVerifying = false;

/** One at a time on a gateway. Failures: `usage`, `too_many_requests`. */
async function verified(app: ConsoleDeps, { language }: View, day: string): Promise<Markup> {
  if (isVerifying) throw new Failure("too_many_requests");
  isVerifying = true;
  try {
    if ((await timely(countCallsOfDay(app.db, day, mostVerified))) > mostVerified) {
      return await html`<p class="notice">
        ${withCode(told(language, "verify_elsewhere", { day }))}
      </p>`;
    }
    const { calls, batches, broken, changed, missing } = await verifyDay(app, day);
    const isWhole = broken + changed + missing === 0;
    const text = isWhole
      ? told(language, "verified_whole", { day, calls, batches })
      : told(language, "verified_broken", { day, broken, changed, missing });
    return await html`<p class="notice ${isWhole ? "" : "bad"}">${text}</p>`;
  } finally {
    isVerifying = false;
  }
}
