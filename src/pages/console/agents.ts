import { html } from "hono/html";
import { readId } from "#src/crypto/ids.ts";
import { type AgentRow, listAgents } from "#src/oauth-server/clients/store.ts";
import { type OpenGrant, openGrantsBefore } from "#src/oauth-server/grants/store.ts";
import { type OpenSession, openSessionsBefore } from "#src/oauth-server/sessions/store.ts";
import { usedBudgets } from "#src/policy/budgets.ts";
import { type Switch, switchesAmong } from "#src/policy/switch-store.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
import type { Markup } from "../page.ts";
import { type ConsoleDeps, lastOf, pageRows } from "./deps.ts";
import {
  type View,
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

/** Of what has no pages. */
const mostShown = 200;

/** Who calls: permissions, sessions, the operator's own agents, and how much of their budgets they have used. */
export async function agentsPage(
  app: ConsoleDeps,
  view: View,
  query: URLSearchParams,
): Promise<Response> {
  const page = (name: string) => ({ before: readId(query.get(name)), most: pageRows });
  const [grants, sessions, clients, budgets] = await Promise.all([
    timely(openGrantsBefore(app.db, page("grants"))),
    timely(openSessionsBefore(app.db, page("sessions"))),
    timely(listAgents(app.db, { isAll: false, most: mostShown })),
    timely(usedBudgets(app.db, mostShown)),
  ]);
  const stopped = await timely(
    switchesAmong(app.db, [
      ...grants.map(subjectOf),
      ...sessions.map(({ id }) => `session:${id}`),
      ...clients.map(({ clientId }) => `agent:${clientId}`),
    ]),
  );
  const body = html`${grantTable(view, grants, stopped)} ${sessionTable(view, sessions, stopped)}
  ${clientTable(view, clients, stopped)} ${budgetTable(view, budgets)}
  ${limitTable(view, app.config.guards.limits)}`;
  return await consolePage(view, { room: "agents", body });
}

type Stopped = ReadonlyMap<string, Switch>;

function subjectOf({ id, policyId }: OpenGrant): string {
  return `grant:${policyId ?? id}`;
}

function grantTable(view: View, grants: readonly OpenGrant[], stopped: Stopped): Markup {
  const { language } = view;
  const rows = grants.map((grant) => {
    const { id, clientName, upstream, account, activatedAt } = grant;
    const subject = subjectOf(grant);
    return [
      named(clientName, id),
      upstream,
      plain(account),
      timeAt(activatedAt),
      stateOf(view, stopped.get(subject)),
      rowActions(view, { subject, off: stopped.get(subject), kind: "grant", id }),
    ];
  });
  const columns = headings(language, "agent", "upstream", "account", "since", "state");
  return html`<h2>${told(language, "permissions")}</h2>
    ${tableOf([...columns, ""], rows, told(language, "none"))}
    ${nextPage(view, pageAfter("grants", grants))}`;
}

function sessionTable(view: View, sessions: readonly OpenSession[], stopped: Stopped): Markup {
  const { language } = view;
  const rows = sessions.map(({ id, platform, account, createdAt, expiresAt }) => {
    const subject = `session:${id}`;
    return [
      named(platform ?? `${told(language, "session")} ${id.slice(-6)}`, id),
      plain(account),
      timeAt(createdAt),
      timeAt(expiresAt),
      stateOf(view, stopped.get(subject)),
      rowActions(view, { subject, off: stopped.get(subject), kind: "session", id }),
    ];
  });
  const columns = headings(language, "agent", "account", "since", "until", "state");
  return html`<h2>${told(language, "sessions")}</h2>
    ${tableOf([...columns, ""], rows, told(language, "none"))}
    ${nextPage(view, pageAfter("sessions", sessions))}`;
}

function clientTable(view: View, clients: readonly AgentRow[], stopped: Stopped): Markup {
  const { language } = view;
  const rows = clients.map(({ clientId: id, name, upstreams, createdAt }) => {
    const subject = `agent:${id}`;
    return [
      named(name, id),
      upstreams?.join(", "),
      timeAt(createdAt),
      stateOf(view, stopped.get(subject)),
      rowActions(view, { subject, off: stopped.get(subject), kind: "agent", id }),
    ];
  });
  const columns = headings(language, "agent", "upstreams", "since", "state");
  return html`<h2>${told(language, "clients")}</h2>
    ${tableOf([...columns, ""], rows, told(language, "none"))} ${cutNote(view, clients, mostShown)}`;
}

function budgetTable(view: View, budgets: Awaited<ReturnType<typeof usedBudgets>>): Markup {
  const { language } = view;
  const rows = budgets.map(({ of, owner, label, used, limit, share }) => [
    html`${of} <code>${plain(owner)}</code>`,
    label,
    `${used} / ${limit}`,
    share,
  ]);
  const numbers = [told(language, "used"), "%"].map((heading) => ({ heading, isNumber: true }));
  return html`<h2>${told(language, "budgets")}</h2>
    ${tableOf([...headings(language, "who", "since"), ...numbers], rows, told(language, "none"))}
    ${cutNote(view, budgets, mostShown)}`;
}

function limitTable({ language }: View, limits: ConsoleDeps["config"]["guards"]["limits"]): Markup {
  const rows = Object.entries(limits).map(([kind, rate]) => [
    kind,
    `${rate.calls} / ${rate.perMs / 1000} s`,
  ]);
  const columns = [told(language, "what"), { heading: told(language, "count"), isNumber: true }];
  return html`<h2>${told(language, "limits")}</h2>
    ${tableOf(columns, rows, told(language, "none"))}`;
}

function named(name: string, id: string): Markup {
  return html`${plain(name)}<br /><code class="quiet">${id}</code>`;
}

function pageAfter(
  name: "grants" | "sessions",
  rows: readonly { readonly id: string }[],
): string | undefined {
  const last = lastOf(rows);
  return last && `/console/agents?${name}=${last.id}`;
}

function stateOf({ language }: View, off: Switch | undefined): Markup {
  if (off === undefined) return badge(told(language, "is_on"), "good");
  return html`${badge(told(language, "switched_off"), "warn")} ${plain(off.reason ?? "")}`;
}

function rowActions(
  view: View,
  row: {
    readonly subject: string;
    readonly off: Switch | undefined;
    readonly kind: string;
    readonly id: string;
  },
): Markup {
  const { subject, off, kind, id } = row;
  const { language, operator } = view;
  const words = ["stop", "let_go_on"] as const;
  const end = `/console/revoke?kind=${kind}&id=${encodeURIComponent(id)}`;
  return html`<span class="actions"
    >${switchButton(view, { subject, isOff: off !== undefined, back: "agents", words })}
    <a class="button plain" href="/console/calls?agent=${subject}&since=7d"
      >${told(language, "calls")}</a
    >
    ${operator.role === "operator" ? html`<a class="button plain" href="${end}">${told(language, "revoke")}</a>` : ""}</span
  >`;
}
