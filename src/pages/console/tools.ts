import { html } from "hono/html";
import { connectable } from "#src/accounts/registration.ts";
import { Failure } from "#src/failure.ts";
import {
  type Held,
  approveTools,
  codeOf,
  decideWaiting,
  heldTools,
  holdTool,
} from "#src/policy/tools/review.ts";
import { countWaiting, definitionName, knownDefinitions } from "#src/policy/tools/store.ts";
import { type Switch, newestSwitches, switchesAmong } from "#src/policy/switch-store.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
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
  const { named, page, asked } = askedFor(query, names);
  const [held, waiting, off, known] = await Promise.all([
    heldTools(app, asked === undefined ? { most: mostWaiting } : { upstream: named, name: asked }),
    timely(countWaiting(app.db)),
    timely(newestSwitches(app.db, pageRows)),
    timely(knownDefinitions(app.db, page)),
  ]);
  const subjects = ["all", ...names.map((name) => `upstream:${name}`), ...known.map(subjectOf)];
  const isOff = await timely(switchesAmong(app.db, subjects));
  const last = lastOf(known);
  const next = new URLSearchParams({ upstream: named, after: last?.name ?? "" });
  const title = asked === undefined ? told(language, "waiting_definitions") : plain(asked);
  const body = html`<h2>${title} ${waiting === 0 ? "" : badge(String(waiting), "warn")}</h2>
    ${heldDefinitions(app, view, held)} ${upstreamTable(app, view, isOff)}
    ${switchedOffTable(view, off)}
    <h2 id="known">${told(language, "known_tools")}: ${named}</h2>
    ${tableOf(
      [...headings(language, "tool", "what", "state"), ""],
      known.map((row) => toolRow(view, row, isOff)),
      told(language, "none"),
    )}
    ${nextPage(view, last && `/console/tools?${next.toString()}#known`)}`;
  return await consolePage(view, { room: "tools", body });
}

/** Which upstream's tools are looked at, from where on, and one tool of it alone. */
function askedFor(query: URLSearchParams, names: readonly string[]) {
  const named = names.find((name) => name === query.get("upstream")) ?? names[0] ?? "";
  const page = { upstream: named, after: query.get("after") ?? "", most: pageRows };
  return { named, page, asked: query.get("tool") ?? undefined };
}

function heldDefinitions(app: ConsoleDeps, view: View, held: readonly Held[]): Markup {
  if (held.length === 0) return html`<p class="quiet">${told(view.language, "no_definitions")}</p>`;
  return html`${held.map((each) => heldDefinition(app, view, each))}`;
}

function upstreamTable(app: ConsoleDeps, view: View, isOff: ReadonlyMap<string, Switch>): Markup {
  const { language } = view;
  const configured = new Set(connectable(app).map(({ provider }) => provider.name));
  const isAllOff = isOff.has("all");
  const everything = [
    told(language, "everything"),
    "",
    badge(told(language, isAllOff ? "switched_off" : "is_on"), isAllOff ? "warn" : "good"),
    switchButton(view, { subject: "all", isOff: isAllOff, back: "tools" }),
  ];
  const rows = [...app.catalog.upstreams.values()].map(({ name, title, url, credential }) => {
    const isSwitched = isOff.has(`upstream:${name}`);
    const isReady = credential.kind !== "account" || configured.has(credential.provider);
    return [
      html`<a href="/console/tools?upstream=${name}#known">${name}</a> ${title}`,
      html`<code>${placeOf(url, view)}</code>`,
      isSwitched
        ? badge(told(language, "switched_off"), "warn")
        : isReady
          ? badge(told(language, "is_on"), "good")
          : badge(told(language, "not_configured"), "quiet"),
      switchButton(view, { subject: `upstream:${name}`, isOff: isSwitched, back: "tools" }),
    ];
  });
  const columns = [...headings(language, "upstream", "address", "state"), ""];
  return html`<h2>${told(language, "upstreams")}</h2>
    ${tableOf(columns, [everything, ...rows], told(language, "none"))}`;
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
    told(language, `nature_${nature}`),
    isOff.has(subject)
      ? badge(told(language, "switched_off"), "warn")
      : state === "approved"
        ? badge(told(language, "approved_before"), "good")
        : badge(told(language, "held_now"), "warn"),
    html`<span class="actions"
      >${switchButton(view, { subject, isOff: isOff.has(subject), back: "tools" })}
      ${
        state === "approved"
          ? actionButton(view, {
              action: "/console/tools/hold",
              label: told(language, "hold"),
              about: subject,
              fields: { upstream, tool: name },
            })
          : html`<a
              class="button plain"
              href="/console/tools?${new URLSearchParams({ upstream, tool: name }).toString()}"
              >${told(language, "details")}</a
            >`
      }</span
    >`,
  ];
}

const kinds = {
  new: "kind_new",
  changed: "kind_changed",
  "held on purpose": "kind_held",
} as const satisfies Record<Held["kind"], string>;

/** What was approved on the left, what is held on the right. */
function heldDefinition(app: Pick<ConsoleDeps, "bindingKey">, view: View, held: Held): Markup {
  const { upstream, name, hash, kind, lines } = held;
  const { language } = view;
  const isDecided = kind === "held on purpose";
  const side = (mark: "-" | "+") =>
    lines.filter((line) => line.startsWith(mark) || line.startsWith(" "));
  const [before, after] = [side("-"), side("+")];
  const about = `${upstream}/${plain(name)}`;
  const fields = (state: "approved" | "held") => ({ upstream, hash, state });
  const [action, release] = ["/console/tools/decide", "/console/tools/release"];
  const label = told(language, "approve");
  const seen = { upstream, tool: name, seen: codeOf(app, [held]) };
  return html`<section class="card">
    <h3>${about} ${badge(told(language, kinds[kind]), "warn")}</h3>
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
      ${
        isDecided
          ? actionButton(view, { action: release, label, about, fields: seen })
          : html`${actionButton(view, { action, label, about, fields: fields("approved") })}
            ${actionButton(view, { action, label: told(language, "hold"), about, fields: fields("held") })}`
      }
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
  const name = await timely(definitionName(app.db, { upstream, hash }));
  await note(`tool_${state}`, `${upstream}/${name ?? "?"} ${hash.slice(0, 12)}`);
  await decideWaiting(app, { upstream, hash, state, by });
  return seeOther("/console/tools");
}

/** Approves a tool that was held on purpose, as it was shown. Failures: `usage` when it is another by now. */
export async function releaseTool(app: ConsoleDeps, { form, note, by }: Sent): Promise<Response> {
  const [upstream = "", name = "", seen = ""] = ["upstream", "tool", "seen"].map(
    (field) => form.get(field) ?? "",
  );
  await note("tool_approved", `${upstream}/${name}`);
  await approveTools(app, { upstream, name, seen, by });
  return seeOther(`/console/tools?upstream=${encodeURIComponent(upstream)}`);
}

/** Holds a tool that was approved. Failures: `usage` when there is none. */
export async function holdKnownTool(app: ConsoleDeps, { form, note, by }: Sent): Promise<Response> {
  const [upstream = "", name = ""] = ["upstream", "tool"].map((field) => form.get(field) ?? "");
  await note("tool_held", `${upstream}/${name}`);
  await holdTool(app, { upstream, name, seen: undefined, by });
  return seeOther(`/console/tools?upstream=${encodeURIComponent(upstream)}`);
}
