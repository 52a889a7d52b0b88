import { html } from "hono/html";
import { findAccount } from "#src/accounts/find-account.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { refreshEventsOf } from "#src/operations/console-store.ts";
import { type StoredCall, callById, someCalls } from "#src/proxy/call-store.ts";
import { type Outcome, outcomeOf, outcomes } from "#src/proxy/call-outcome-store.ts";
import { plain } from "#src/telemetry/redact.ts";
import { timely } from "#src/clock.ts";
import type { Markup } from "../page.ts";
import { type ConsoleDeps, lastOf, pageRows } from "./deps.ts";
import { type View, consolePage, factsOf, nextPage, tableOf, timeAt } from "./layout.ts";
import { told } from "./words.ts";

const agesMs = {
  "1h": 3_600_000,
  "6h": 6 * 3_600_000,
  "1d": 86_400_000,
  "7d": 7 * 86_400_000,
} as const;
const ages = ["1h", "6h", "1d", "7d"] as const satisfies readonly (keyof typeof agesMs)[];
type Age = (typeof ages)[number];
const texts = ["upstream", "tool", "agent", "account"] as const;

/** What the form of the page asks for. */
export type CallsQuery = Readonly<Record<(typeof texts)[number], string>> & {
  readonly since: Age;
  readonly isGuarded: boolean;
  readonly outcome: Outcome | undefined;
};

/** The form's fields; what it does not know is passed over. */
export function readCallsQuery(query: URLSearchParams): CallsQuery {
  const since = query.get("since") ?? "";
  const text = (name: string) => (query.get(name) ?? "").slice(0, 200);
  return {
    upstream: text("upstream"),
    tool: text("tool"),
    agent: text("agent"),
    account: text("account"),
    since: ages.find((age) => age === since) ?? "1d",
    isGuarded: query.get("guarded") === "on",
    outcome: outcomes.find((each) => each === query.get("outcome")),
  };
}

/** The calls that fit, the newest first. */
export async function findCalls(
  app: Pick<ConsoleDeps, "db" | "now">,
  asked: CallsQuery,
  page: {
    readonly before?: string | undefined;
    readonly most: number;
    readonly sinceMs?: number;
    /** Only those that ended so lately. */
    readonly endedMs?: number;
  },
): Promise<readonly StoredCall[]> {
  const { before, most, sinceMs = agesMs[asked.since], endedMs } = page;
  const account = await accountNamed(app, asked.account);
  if (account === null) return [];
  const given = (text: string) => (text === "" ? undefined : text);
  const now = app.now().getTime();
  return await timely(
    someCalls(app.db, {
      since: new Date(now - sinceMs),
      endedSince: endedMs === undefined ? undefined : new Date(now - endedMs),
      upstream: given(asked.upstream),
      tool: given(asked.tool),
      agent: given(asked.agent.replace(/^(?:session|grant|agent):/, "")),
      accountId: account?.id,
      isGuarded: asked.isGuarded,
      outcome: asked.outcome,
      before,
      most,
      limitMs: longestSearchMs,
    }),
  );
}

/** The database goes on with nothing that nobody waits for any more. */
const longestSearchMs = 4000;

/** Null where there is none of the name; undefined where none is asked for. */
async function accountNamed(app: Pick<ConsoleDeps, "db">, name: string) {
  if (name === "") return undefined;
  try {
    return await findAccount(app, name);
  } catch (error) {
    if (error instanceof Failure && error.code === "usage") return null;
    throw error;
  }
}

/** The audit trail, with what is new as it comes. */
export async function callsPage(
  app: ConsoleDeps,
  view: View,
  query: URLSearchParams,
): Promise<Response> {
  const { language } = view;
  const asked = readCallsQuery(query);
  const before = readId(query.get("before"));
  const rows = await findCalls(app, asked, { before, most: pageRows });
  const kept = new URLSearchParams(query);
  kept.delete("before");
  const newest = rows[0]?.id ?? "";
  const older = lastOf(rows)?.id;
  const olderPage = `/console/calls?${new URLSearchParams([...kept, ["before", older ?? ""]]).toString()}`;
  const body = html`${filterForm(app, view, asked)}
  ${before === undefined ? html`<p class="quiet" data-details="${told(language, "details")}" data-live="/console/calls/live?${kept.toString()}&after=${newest}">${told(language, "live")}<span>: ${told(language, "live_hint")}</span></p>` : ""}
  ${callsTable(view, rows)} ${nextPage(view, older === undefined ? undefined : olderPage, "older")}`;
  return await consolePage(view, { room: "calls", body });
}

/** Calls in a table; `callCells` says what is in a row. */
export function callsTable({ language }: View, rows: readonly StoredCall[]): Markup {
  const headings = [
    told(language, "at"),
    told(language, "outcome"),
    told(language, "upstream"),
    told(language, "what"),
    told(language, "who"),
    { heading: told(language, "took"), isNumber: true },
    "",
  ];
  const cells = rows.map((call) => {
    const { at, outcome, mood, upstream, what, who, took, href } = callCells(call);
    return [
      timeAt(new Date(at)),
      html`<span class="${mood}">${outcome}</span>`,
      upstream,
      what,
      html`<code>${who}</code>`,
      took,
      html`<a href="${href}">${told(language, "details")}</a>`,
    ];
  });
  return html`${cells.length === 0 ? html`<p class="quiet">${told(language, "nothing_found")}</p>` : ""}
  ${tableOf(headings, cells, undefined)}`;
}

const moods = { done: "good", refused: "warn", failed: "bad", left: "quiet" } as const;

/** A call as a row shows it, in plain text. */
export function callCells(call: StoredCall) {
  const { id, at, status, guard, failure, upstream, rpcMethod, httpMethod, name, durationMs } =
    call;
  const ended = outcomeOf(call);
  return {
    id,
    at: at.toISOString(),
    outcome: [status, ended === "refused" ? guard : (failure ?? guard)]
      .filter((each) => each !== null)
      .join(" "),
    mood: moods[ended],
    upstream,
    what: plain([rpcMethod ?? httpMethod, name].filter((each) => each !== null).join(" ")),
    who: whoseCall(call),
    took: `${durationMs} ms`,
    href: `/console/calls/${id}`,
  };
}

function whoseCall({ grantId, sessionId, agentId }: StoredCall): string {
  if (grantId !== null) return `grant:${grantId}`;
  if (sessionId !== null) return `session:${sessionId}`;
  return agentId === null ? "" : `agent:${agentId}`;
}

function filterForm(app: ConsoleDeps, { language }: View, asked: CallsQuery): Markup {
  const names = [...app.catalog.upstreams.keys()];
  return html`<form class="filter" method="get" action="/console/calls">
    <label
      >${told(language, "upstream")}<br /><select name="upstream">
        <option value="">${told(language, "every")}</option>
        ${names.map((name) => html`<option value="${name}" ${name === asked.upstream ? "selected" : ""}>${name}</option>`)}
      </select></label
    >
    ${(["tool", "agent", "account"] as const).map((name) => html`<label>${told(language, name)}<br /><input name="${name}" value="${asked[name]}" maxlength="200" /></label>`)}
    <label
      >${told(language, "look_back")}<br /><select name="since">
        ${ages.map((age) => html`<option value="${age}" ${age === asked.since ? "selected" : ""}>${age}</option>`)}
      </select></label
    >
    <label
      >${told(language, "outcome")}<br /><select name="outcome">
        <option value="">${told(language, "every")}</option>
        ${outcomes.map((each) => html`<option value="${each}" ${each === asked.outcome ? "selected" : ""}>${told(language, `outcome_${each}`)}</option>`)}
      </select></label
    >
    <label
      ><input
        type="checkbox"
        name="guarded"
        ${asked.isGuarded ? "checked" : ""}
      />${told(language, "only_guarded")}</label
    >
    <button>${told(language, "search")}</button>
  </form>`;
}

/** One call in full, with what its request did to the credential. Failures: `not_found`. */
export async function callPage(app: ConsoleDeps, view: View, given: string): Promise<Response> {
  const id = readId(given);
  const call = id === undefined ? undefined : await timely(callById(app.db, id));
  if (call === undefined) throw new Failure("not_found");
  const since = new Date(call.at.getTime() - 60_000);
  const events = await timely(
    refreshEventsOf(app.db, { requestId: call.requestId, since }, pageRows),
  );
  const { language } = view;
  const body = html`${factsOf(Object.entries(call))}
    <h2>${told(language, "refreshes")}</h2>
    ${refreshTable(view, events)}`;
  return await consolePage(view, {
    room: "calls",
    title: `${told(language, "calls")} ${plain(call.requestId)}`,
    body,
  });
}

/** What happened to a credential. */
export function refreshTable(
  { language }: View,
  events: Awaited<ReturnType<typeof refreshEventsOf>>,
): Markup {
  const headings = [
    told(language, "at"),
    told(language, "what"),
    told(language, "outcome"),
    { heading: told(language, "generation"), isNumber: true },
    told(language, "request"),
  ];
  const rows = events.map(({ at, event, code, providerStatus, generation, requestId }) => [
    timeAt(at),
    event,
    [providerStatus, code].filter((each) => each !== null).join(" "),
    generation,
    html`<code>${plain(requestId)}</code>`,
  ]);
  return tableOf(headings, rows, told(language, "none"));
}
