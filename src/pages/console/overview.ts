import { html } from "hono/html";
import { allAlerts, isAcknowledged } from "#src/operations/alerts/alert-store.ts";
import { overdueDays } from "#src/operations/cleanup/cleanup.ts";
import { newestCheckReports } from "#src/operations/check-report-store.ts";
import { liveReplicas } from "#src/operations/console-store.ts";
import { lookAtHealth } from "#src/operations/routes.ts";
import { accountsInDoubt } from "#src/operations/store.ts";
import { pendingApprovals } from "#src/policy/approvals/store.ts";
import { newestSwitches } from "#src/policy/switch-store.ts";
import { countWaiting } from "#src/policy/tools/store.ts";
import {
  type Count,
  type Window,
  countsSince,
  durationAt,
  durationBounds,
  refusalsSince,
  upstreamCountsSince,
} from "#src/proxy/call-count-store.ts";
import type { Outcome } from "#src/proxy/call-outcome-store.ts";
import { timely } from "#src/clock.ts";
import type { Markup } from "../page.ts";
import { checksDue } from "./check.ts";
import { lineChart } from "./charts.ts";
import type { ConsoleDeps } from "./deps.ts";
import { type View, badge, consolePage, headings, tableOf, timeAt, withCode } from "./layout.ts";
import { told } from "./words.ts";

const [minute, hour, day] = [60, 3600, 86_400];

/** What can be looked at: how far back, from which counts, in which stretches. */
const periods = {
  hour: { seconds: hour, span: "minute", stretchSeconds: minute },
  day: { seconds: day, span: "minute", stretchSeconds: 15 * minute },
  month: { seconds: 30 * day, span: "hour", stretchSeconds: 6 * hour },
} as const;
const periodNames = ["hour", "day", "month"] as const;
type Period = (typeof periodNames)[number];

/** Whether all is well, what happened, and what wants a decision. */
export async function overviewPage(
  app: ConsoleDeps,
  view: View,
  query: URLSearchParams,
): Promise<Response> {
  const period = periodNames.find((each) => each === query.get("period")) ?? "hour";
  const now = app.now();
  const window = windowAt(period, now);
  const [health, due, counts, byUpstream, byGuard, replicas] = await Promise.all([
    lookAtHealth(app),
    dueRows(app, view),
    timely(countsSince(app.db, window)),
    timely(upstreamCountsSince(app.db, window)),
    timely(refusalsSince(app.db, window)),
    timely(liveReplicas(app.db)),
  ]);
  const { language } = view;
  const streams = told(language, "streams_here", { count: app.openStreams.count() });
  const body = html`<div class="cards">
      ${healthCard(view, health)} ${dueCard(view, due)} ${replicaCard(view, replicas, streams)}
    </div>
    ${periodLinks(view, period)}
    <div class="charts">${charts(view, counts, { window, now })}</div>
    ${upstreamTable(app, view, byUpstream, period)} ${refusalTable(view, byGuard)}
    <p class="quiet">${told(language, "counted_note")}</p>`;
  return await consolePage(view, { room: "overview", body });
}

function windowAt(period: Period, now: Date): Window {
  const { seconds, span, stretchSeconds } = periods[period];
  const stretch = Math.floor(now.getTime() / 1000 / stretchSeconds) * stretchSeconds;
  return { span, since: new Date((stretch - seconds) * 1000), stretchSeconds };
}

function periodLinks({ language }: View, period: Period): Markup {
  return html`<h2>
    ${periodNames.map(
      (each) =>
        html`<a
          class="button ${each === period ? "" : "plain"}"
          href="/console/overview?period=${each}"
          >${told(language, each)}</a
        > `,
    )}
  </h2>`;
}

function dueCard({ language }: View, due: readonly Markup[]): Markup {
  return html`<section class="card">
    <h2>${told(language, "due")}</h2>
    ${
      due.length === 0
        ? html`<p class="quiet">${told(language, "nothing_due")}</p>`
        : html`<ul>
            ${due.map((each) => html`<li>${each}</li>`)}
          </ul>`
    }
  </section>`;
}

function replicaCard(
  { language }: View,
  replicas: Awaited<ReturnType<typeof liveReplicas>>,
  streams: string,
): Markup {
  return html`<section class="card">
    <h2>${told(language, "replicas")}</h2>
    <ul>
      ${replicas.map(({ id, seenAt }) => html`<li><code>${id.slice(0, 8)}</code> ${timeAt(seenAt)}</li>`)}
    </ul>
    <p class="quiet">${streams}</p>
  </section>`;
}

function upstreamTable(
  { publicUrl }: ConsoleDeps,
  { language }: View,
  counts: Awaited<ReturnType<typeof upstreamCountsSince>>,
  period: Period,
): Markup {
  const rows = counts.map(({ upstream, calls, failed, refused }) => [
    html`<a href="/console/calls?upstream=${upstream}">${upstream}</a>`,
    calls,
    outcomeLink(upstream, "failed", failed, period),
    outcomeLink(upstream, "refused", refused, period),
  ]);
  const numbers = headings(language, "count", "failed", "refused").map((heading) => ({
    heading,
    isNumber: true,
  }));
  const empty = told(language, "no_calls", { url: `${publicUrl}/mcp` });
  return html`<h2>${told(language, "by_upstream")}</h2>
    ${tableOf([told(language, "upstream"), ...numbers], rows, empty)}`;
}

/** A number that leads to the calls that it counts, as far back as the audit trail can be looked at here. */
function outcomeLink(
  upstream: string,
  outcome: Outcome,
  count: number,
  period: Period,
): Markup | number {
  const since = { hour: "1h", day: "1d", month: "7d" }[period];
  if (count === 0) return count;
  return html`<a href="/console/calls?upstream=${upstream}&outcome=${outcome}&since=${since}"
    >${count}</a
  >`;
}

function refusalTable(
  { language }: View,
  counts: Awaited<ReturnType<typeof refusalsSince>>,
): Markup | "" {
  if (counts.length === 0) return "";
  const rows = counts.map(({ guard, calls }) => [html`<code>${guard}</code>`, calls]);
  const columns = [told(language, "guard"), { heading: told(language, "count"), isNumber: true }];
  return html`<h2>${told(language, "by_guard")}</h2>
    ${tableOf(columns, rows, "")}`;
}

const moods = { pass: "good", warn: "warn", fail: "bad" } as const;

function healthCard(
  { language }: View,
  { status, checks }: Awaited<ReturnType<typeof lookAtHealth>>,
): Markup {
  return html`<section class="card">
    <h2>${told(language, "health")} ${badge(told(language, `status_${status}`), moods[status])}</h2>
    <ul>
      ${Object.entries(checks).map(
        ([name, code]) =>
          html`<li>${name}: <code class="${code === "pass" ? "good" : "warn"}">${code}</code></li>`,
      )}
    </ul>
  </section>`;
}

/** A line for everything that somebody has to do something about, each leading to where it is done. */
async function dueRows(app: ConsoleDeps, { language }: View): Promise<readonly Markup[]> {
  const [tools, pending, alerts, accounts, off, days, checks] = await Promise.all([
    timely(countWaiting(app.db)),
    timely(pendingApprovals(app.db)),
    timely(allAlerts(app.db)),
    timely(accountsInDoubt(app.db)),
    timely(newestSwitches(app.db, 1)),
    app.healthWatch.daysSinceCleanup(),
    timely(newestCheckReports(app.db)),
  ]);
  const open = alerts.filter((each) => each.state === "firing" && !isAcknowledged(each));
  const states = Map.groupBy(accounts, ({ state }) => state);
  const link = (room: string, count: number, word: Parameters<typeof told>[1]) =>
    count === 0 ? [] : [html`<a href="/console/${room}">${told(language, word, { count })}</a>`];
  return [
    ...link("alerts", open.length, "due_alerts"),
    ...link("tools", tools, "due_tools"),
    ...link("approvals", pending.length, "due_approvals"),
    ...[...states].map(([state, rows]) => {
      const count = rows.reduce((sum, row) => sum + row.count, 0);
      return html`<a href="/console/accounts?state=${state}"
        >${told(language, "due_accounts", { count, state: told(language, `state_${state}`) })}</a
      >`;
    }),
    ...link("tools", off.count, "due_switched"),
    ...checksDue(language, checks),
    ...(days !== undefined && days > overdueDays
      ? [withCode(told(language, "due_cleanup", { count: Math.floor(days) }))]
      : []),
  ];
}

function charts(
  { language }: View,
  counts: readonly Count[],
  { window, now }: { readonly window: Window; readonly now: Date },
): Markup {
  const all = stretches(counts, window, now);
  const [from, to] = [window.since, now];
  const share = (part: (count: Count) => number) =>
    all.map((count) =>
      count === undefined || count.calls === 0 ? 0 : (100 * part(count)) / count.calls,
    );
  const at = (part: number) =>
    all.map((count) => {
      const found = count === undefined ? undefined : durationAt(count.durations, part);
      // Beyond the last bound nothing is known but that it took longer.
      return found === undefined ? undefined : Math.min(found, durationBounds.at(-1) ?? 0);
    });
  // The stretch that runs is not over yet.
  const rate = all.map((count, at) => {
    const begunMs = window.since.getTime() + at * window.stretchSeconds * 1000;
    const seconds = Math.min(window.stretchSeconds, (now.getTime() - begunMs) / 1000);
    return (count?.calls ?? 0) / Math.max(seconds, 1);
  });
  return html`${lineChart({ title: told(language, "rate"), unit: "/s", from, to, lines: [{ name: told(language, "rate"), values: rate, isFilled: true }] })}
  ${lineChart({
    title: told(language, "duration"),
    unit: "ms",
    from,
    to,
    lines: [
      { name: "p50", values: at(0.5) },
      { name: "p99", values: at(0.99) },
    ],
  })}
  ${lineChart({
    title: told(language, "share"),
    unit: "%",
    from,
    to,
    lines: [
      { name: told(language, "failed"), values: share(({ failed }) => failed) },
      { name: told(language, "refused"), values: share(({ refused }) => refused) },
    ],
  })}`;
}

/** One for each stretch of time; undefined where nobody called. */
function stretches(
  counts: readonly Count[],
  { since, stretchSeconds }: Window,
  now: Date,
): readonly (Count | undefined)[] {
  const bySlot = new Map(counts.map((count) => [count.slot.getTime(), count]));
  const stretchMs = stretchSeconds * 1000;
  const most = Math.floor((now.getTime() - since.getTime()) / stretchMs) + 1;
  return Array.from({ length: most }, (_, at) => bySlot.get(since.getTime() + at * stretchMs));
}
