import { html } from "hono/html";
import { accountsOf } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { type Language, languageOf } from "#src/http/language.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { signedIn } from "#src/people/sign-in.ts";
import { timely } from "#src/clock.ts";
import { titlesOf } from "#src/policy/tools/narrow.ts";
import { outcomes } from "#src/proxy/call-outcome-store.ts";
import {
  type CallsFound,
  type CallsWanted,
  type LatestCalls,
  agentsCallingFor,
  callsOfPerson,
  latestCallsOf,
} from "#src/proxy/person-call-store.ts";
import { callsAsCsv, mostCsvRows } from "./activity-csv.ts";
import { type Told, agentNameIn, callRows, toolTitle } from "./activity-rows.ts";
import { dayIn, dayMs, dayOf } from "./dates.ts";
import { type Markup, accountName, page } from "./page.ts";
import { say } from "./words.ts";

type Deps = Pick<App, "db" | "now" | "bindingKey" | "catalog" | "publicUrl">;
type Filters = Omit<CallsWanted, "most">;

const pageRows = 50;
/** How far back agents that have ended can be chosen, and how many tools. */
const [knownDays, mostTools] = [30, 100];

/** `/activity`, `/activity.csv`: what was called for the person who is signed in, and nobody else. */
export function mountActivity(routes: PageRoutes, app: Deps): void {
  routes.get("/activity", async ({ req }) => {
    const { filters, query } = await askedFor(app, req.raw);
    return await activityPage(app, languageOf(req.raw), { filters, query });
  });
  routes.get("/activity.csv", async ({ req }) => {
    const { filters } = await askedFor(app, req.raw);
    const latest = await timely(latestCallsOf(app.db, filters.personId));
    const told = await toldWith(app, languageOf(req.raw), { filters, tools: latest.tools });
    return await callsAsCsv(app, told, filters);
  });
}

/** Failures: `sign_in_needed`. */
async function askedFor(app: Deps, request: Request) {
  const person = await signedIn(app, request);
  if (person === undefined) throw new Failure("sign_in_needed");
  const query = new URL(request.url).searchParams;
  return { filters: readFilters(query, person.personId), query };
}

/** What cannot be a filter is none. */
function readFilters(query: URLSearchParams, personId: string): Filters {
  const tool = (query.get("tool") ?? "").replaceAll("\0", "").slice(0, 600).toWellFormed();
  return {
    personId,
    before: readId(query.get("before")),
    agent: readAgent(query.get("agent") ?? ""),
    tool: tool === "" ? undefined : tool,
    day: dayIn(query.get("day") ?? ""),
    outcome: outcomes.find((each) => each === query.get("outcome")),
    isWhole: query.get("all") === "1",
  };
}

function readAgent(text: string): string | undefined {
  const [kind = "", id] = text.split(":");
  const isAgent = ["grant", "session", "agent"].includes(kind) && readId(id) !== undefined;
  return isAgent ? `${kind}:${id}` : undefined;
}

async function toldWith(
  app: Deps,
  language: Language,
  { filters, tools }: { readonly filters: Filters; readonly tools: LatestCalls["tools"] },
): Promise<Told> {
  const [accounts, titles] = await Promise.all([
    timely(accountsOf(app.db, filters.personId)),
    titlesOf(app, tools),
  ]);
  const names = accounts.map((each) => [each.id, accountName(app, language, each)] as const);
  return { language, catalog: app.catalog, accounts: new Map(names), titles };
}

type Asked = { readonly filters: Filters; readonly query: URLSearchParams };

async function activityPage(app: Deps, language: Language, asked: Asked): Promise<Response> {
  const { filters } = asked;
  const [found, latest] = await Promise.all([
    timely(callsOfPerson(app.db, { ...filters, most: pageRows })),
    timely(latestCallsOf(app.db, filters.personId)),
  ]);
  const recent = latest.tools.slice(-mostTools);
  const shown = found.rows.flatMap(({ rpcMethod, upstream, name }) =>
    rpcMethod === "tools/call" && name !== null ? [{ upstream, name }] : [],
  );
  const told = await toldWith(app, language, { filters, tools: [...recent, ...shown] });
  const body = html`<p>${say(language, "activity_lead")}</p>
    ${await filterForm(app, told, { filters, tools: recent })}
    ${found.rows.length === 0 ? nothing(app, language, asked) : callRows(told, found.rows)}
    ${paging(language, asked, found)}
    <p><a href="/">${say(language, "back")}</a></p>`;
  return await page(language, say(language, "activity"), body);
}

type Option = { readonly value: string; readonly text: string };

async function filterForm(
  app: Deps,
  told: Told,
  { filters, tools }: { readonly filters: Filters; readonly tools: LatestCalls["tools"] },
): Promise<Markup> {
  const { language } = told;
  const day = filters.day === undefined ? "" : dayOf(filters.day);
  return html`<form method="get" action="/activity" class="filters">
    ${select({ name: "agent", label: say(language, "filter_agent"), all: say(language, "filter_all"), chosen: filters.agent, options: await agentOptions(app, language, filters) })}
    ${select({ name: "tool", label: say(language, "filter_tool"), all: say(language, "filter_every"), chosen: filters.tool, options: toolOptions(told, tools) })}
    <label
      >${say(language, "filter_day")}
      <input type="date" name="day" value="${day}" max="${dayOf(app.now())}"
    /></label>
    ${select({
      name: "outcome",
      label: say(language, "filter_outcome"),
      all: say(language, "filter_all"),
      chosen: filters.outcome,
      options: outcomes.map((value) => ({ value, text: say(language, `outcome_${value}`) })),
    })}
    <label class="choice wide">
      <input type="checkbox" name="all" value="1" ${filters.isWhole ? "checked" : ""} />
      <span>${say(language, "filter_whole")}</span>
    </label>
    <button class="quiet">${say(language, "filter_show")}</button>
  </form>`;
}

/** What is chosen can be chosen again, also when it is not among the options any more. */
function select(field: {
  readonly name: string;
  readonly label: string;
  readonly all: string;
  readonly chosen: string | undefined;
  readonly options: readonly Option[];
}): Markup {
  const { name, label, all, chosen } = field;
  const isKnown = chosen === undefined || field.options.some(({ value }) => value === chosen);
  const options = isKnown ? field.options : [...field.options, { value: chosen, text: chosen }];
  return html`<label
    >${label}
    <select name="${name}">
      <option value="">${all}</option>
      ${options.map(
        ({ value, text }) =>
          html`<option value="${value}" ${value === chosen ? "selected" : ""}>${text}</option>`,
      )}
    </select></label
  >`;
}

/** A permission once, however often it was given. */
async function agentOptions(
  app: Deps,
  language: Language,
  { personId }: Filters,
): Promise<readonly Option[]> {
  const since = new Date(app.now().getTime() - knownDays * dayMs);
  const agents = await timely(agentsCallingFor(app.db, { personId, since }));
  const options = agents.map(({ key, name }) => {
    const text = agentNameIn(language, { agent: key, agentName: name });
    return [key, { value: key, text }] as const;
  });
  return [...new Map(options).values()];
}

function toolOptions(told: Told, tools: LatestCalls["tools"]): readonly Option[] {
  const byName = new Map(tools.map((tool) => [tool.name, toolTitle(told, tool)]));
  return [...byName]
    .map(([value, text]) => ({ value, text }))
    .toSorted((a, b) => a.text.localeCompare(b.text, told.language));
}

function nothing(app: Deps, language: Language, { filters }: Asked): Markup {
  const { agent, tool, day, outcome, before } = filters;
  if ([agent, tool, day, outcome, before].every((each) => each === undefined)) {
    return html`<p class="note">
      ${say(language, "activity_none")} <code>${app.publicUrl}/mcp</code>
    </p>`;
  }
  return html`<p class="note">
    ${say(language, "activity_none_fits")}
    <a href="/activity">${say(language, "show_everything")}</a>
  </p>`;
}

function paging(language: Language, { query, filters }: Asked, found: CallsFound): Markup {
  const link = (path: string, before: string | undefined) => {
    const kept = new URLSearchParams(
      [...query].filter(([name, value]) => name !== "before" && value !== ""),
    );
    if (before !== undefined) kept.set("before", before);
    return kept.size === 0 ? path : `${path}?${kept.toString()}`;
  };
  const most = mostCsvRows.toLocaleString(language);
  return html`<p>
    ${filters.before === undefined ? "" : html`<a class="button quiet" href="${link("/activity", undefined)}">${say(language, "newest")}</a>`}
    ${found.next === undefined ? "" : html`<a class="button quiet" href="${link("/activity", found.next)}">${say(language, "older")}</a>`}
    ${found.rows.length === 0 ? "" : html`<a href="${link("/activity.csv", undefined)}">${say(language, "download_csv", { most })}</a>`}
  </p>`;
}
