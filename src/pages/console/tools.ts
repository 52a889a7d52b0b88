import { html } from "hono/html";
import { Failure } from "#src/failure.ts";
import { type Held, decideWaiting, heldTools, holdTool } from "#src/policy/tools/review.ts";
import { countWaiting, knownDefinitions } from "#src/policy/tools/store.ts";
import { type Switch, newestSwitches, switchesAmong } from "#src/policy/switch-store.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/timeout.ts";
import { type Markup, seeOther } from "../page.ts";
import { type ConsoleDeps, lastOf, pageRows } from "./deps.ts";
import type { Sent } from "./mount.ts";
import {
  type View,
  actionButton,
  badge,
  consolePage,
  cutNote,
  headings,
  nextPage,
  tableOf,
  timeAt,
} from "./layout.ts";
import { switchButton } from "./switches.ts";
import { told } from "./words.ts";

/** Of each upstream, so that none hides the others. */
const mostWaiting = 20;

/** The upstreams, what is switched off, the definitions that wait side by side, and every tool that is known. */
export async function toolsPage(
  app: ConsoleDeps,
  view: View,
  query: URLSearchParams,
): Promise<Response> {
  const { language } = view;
  const names = [...app.catalog.upstreams.keys()];
  const named = names.find((name) => name === query.get("upstream")) ?? names[0] ?? "";
  const page = { upstream: named, after: query.get("after") ?? "", most: pageRows };
  const [held, waiting, off, known] = await Promise.all([
    heldTools(app, { most: mostWaiting }),
    timely(countWaiting(app.db)),
    timely(newestSwitches(app.db, pageRows)),
    timely(knownDefinitions(app.db, page)),
  ]);
  const subjects = [...names.map((name) => `upstream:${name}`), ...known.map(subjectOf)];
  const isOff = await timely(switchesAmong(app.db, subjects));
  const last = lastOf(known);
  const next = new URLSearchParams({ upstream: named, after: last?.name ?? "" });
  const body = html`<h2>
      ${told(language, "waiting_definitions")}
      ${waiting === 0 ? "" : badge(String(waiting), "warn")}
    </h2>
    ${held.length === 0 ? html`<p class="quiet">${told(language, "no_definitions")}</p>` : held.map((each) => heldDefinition(view, each))}
    ${upstreamTable(app, view, isOff)} ${switchedOffTable(view, off)}
    <h2 id="known">${told(language, "known_tools")}: ${named}</h2>
    ${tableOf(
      [...headings(language, "tool", "what", "state"), ""],
      known.map((row) => toolRow(view, row, isOff)),
      told(language, "none"),
    )}
    ${nextPage(view, last && `/console/tools?${next.toString()}#known`)}`;
  return await consolePage(view, { room: "tools", body });
}

function upstreamTable(
  { catalog }: ConsoleDeps,
  view: View,
  isOff: ReadonlyMap<string, Switch>,
): Markup {
  const { language } = view;
  const rows = [...catalog.upstreams.values()].map(({ name, title, url }) => {
    const isSwitched = isOff.has(`upstream:${name}`);
    return [
      html`<a href="/console/tools?upstream=${name}#known">${name}</a> ${title}`,
      html`<code>${placeOf(url, view)}</code>`,
      isSwitched
        ? badge(told(language, "switched_off"), "warn")
        : badge(told(language, "is_on"), "good"),
      switchButton(view, { subject: `upstream:${name}`, isOff: isSwitched, back: "tools" }),
    ];
  });
  const columns = [...headings(language, "upstream", "address", "state"), ""];
  return html`<h2>${told(language, "upstreams")}</h2>
    ${tableOf(columns, rows, told(language, "none"))}`;
}

function switchedOffTable(
  view: View,
  { count, newest }: Awaited<ReturnType<typeof newestSwitches>>,
): Markup {
  const { language } = view;
  const rows = newest.map(({ subject, at, by, reason }) => [
    html`<code>${plain(subject)}</code>`,
    timeAt(at),
    by,
    plain(reason ?? ""),
    switchButton(view, { subject, isOff: true, back: "tools" }),
  ]);
  const columns = [...headings(language, "what", "since", "who", "why"), ""];
  return html`<h2>${told(language, "switched_off")} ${badge(String(count), "quiet")}</h2>
    ${tableOf(columns, rows, told(language, "nothing_off"))} ${cutNote(view, newest, pageRows)}`;
}

type ToolRow = Awaited<ReturnType<typeof knownDefinitions>>[number];

function subjectOf({ upstream, name }: ToolRow): string {
  return `tool:${upstream}/${name}`;
}

function toolRow(
  view: View,
  { upstream, name, nature, state }: ToolRow,
  isOff: ReadonlyMap<string, Switch>,
) {
  const { language } = view;
  const subject = `tool:${upstream}/${name}`;
  return [
    html`<code>${plain(name)}</code>`,
    nature,
    isOff.has(subject)
      ? badge(told(language, "switched_off"), "warn")
      : state === "approved"
        ? badge(told(language, "approved_before"), "good")
        : badge(told(language, "held_now"), "warn"),
    html`<span class="actions"
      >${switchButton(view, { subject, isOff: isOff.has(subject), back: "tools" })}
      ${state === "approved" ? actionButton(view, { action: "/console/tools/hold", label: told(language, "hold"), about: subject, fields: { upstream, tool: name } }) : ""}</span
    >`,
  ];
}

/** What was approved on the left, what is held on the right. */
function heldDefinition(view: View, { upstream, name, hash, kind, lines }: Held): Markup {
  const { language } = view;
  const side = (mark: "-" | "+") =>
    lines.filter((line) => line.startsWith(mark) || line.startsWith(" "));
  const [before, after] = [side("-"), side("+")];
  const about = `${upstream}/${plain(name)}`;
  const fields = (state: "approved" | "held") => ({ upstream, hash, state });
  const action = "/console/tools/decide";
  return html`<section class="card">
    <h3>${about} ${badge(kind, "warn")}</h3>
    <div class="diff">
      ${
        before.length === 0
          ? ""
          : html`<div>
              <span class="quiet">${told(language, "approved_before")}</span>
              <pre>${before.join("\n")}</pre>
            </div>`
      }
      <div>
        <span class="quiet">${told(language, "held_now")}</span>
        <pre>${after.join("\n")}</pre>
      </div>
    </div>
    <p class="actions">
      ${actionButton(view, { action, label: told(language, "approve"), about, fields: fields("approved") })}
      ${actionButton(view, { action, label: told(language, "hold"), about, fields: fields("held") })}
    </p>
  </section>`;
}

/** Without a query, and whatever else a key could stand in; for whoever only looks without its path. */
function placeOf(url: string, { operator }: View): string {
  if (!URL.canParse(url)) return "";
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${operator.role === "operator" ? pathname : ""}`;
}

/** Decides about a definition that waits. Failures: `definition_decided`, `form_refused`. */
export async function decideTool(app: ConsoleDeps, { form, note, by }: Sent): Promise<Response> {
  const [upstream, hash, state] = ["upstream", "hash", "state"].map((name) => form.get(name));
  const isState = state === "approved" || state === "held";
  if (!isState || upstream == null || hash == null) throw new Failure("form_refused");
  await note(`tool_${state}`, `${upstream} ${hash.slice(0, 12)}`);
  await decideWaiting(app, { upstream, hash, state, by });
  return seeOther("/console/tools");
}

/** Holds a tool that was approved. Failures: `usage` when there is none. */
export async function holdKnownTool(app: ConsoleDeps, { form, note, by }: Sent): Promise<Response> {
  const [upstream = "", name = ""] = ["upstream", "tool"].map((field) => form.get(field) ?? "");
  await note("tool_held", `${upstream}/${name}`);
  await holdTool(app, { upstream, name, seen: undefined, by });
  return seeOther(`/console/tools?upstream=${encodeURIComponent(upstream)}`);
}
