import { html } from "hono/html";
import type { App } from "#src/app.ts";
import type { Language } from "#src/http/language.ts";
import { type Outcome, outcomeOf } from "#src/proxy/call-outcome-store.ts";
import type { PersonCall } from "#src/proxy/person-call-store.ts";
import { plain } from "#src/telemetry/redact.ts";
import { packTool } from "#src/upstreams/tools/tool-servers.ts";
import { dateIn, dayOf, exactly } from "./dates.ts";
import type { Markup } from "./page.ts";
import { type WordName, nameIn, say } from "./words.ts";

/** What calls are told with. */
export type Told = {
  readonly language: Language;
  readonly catalog: App["catalog"];
  /** How accounts are named, by id. */
  readonly accounts: ReadonlyMap<string, string>;
  /** Titles from approved definitions, by `UPSTREAM NAME`. */
  readonly titles: ReadonlyMap<string, string>;
};

/** Calls by day, the newest first. */
export function callRows(told: Told, calls: readonly PersonCall[]): Markup {
  const days = Map.groupBy(calls, ({ at }) => dayOf(at));
  return html`${[...days.values()].map(
    (rows) =>
      html`<h2>${dateIn(told.language, rows[0]?.at ?? new Date(0))}</h2>
        <ul class="rows">
          ${rows.map((call) => callRow(told, call))}
        </ul>`,
  )}`;
}

const moods: Readonly<Record<Outcome, string>> = {
  done: "note",
  left: "note",
  refused: "badge warn",
  failed: "badge warn",
};

function callRow(told: Told, call: PersonCall): Markup {
  const { language } = told;
  const outcome = outcomeOf(call);
  const { title, name } = whatWasCalled(told, call);
  const why = reasonOf(language, call);
  return html`<li>
    <time datetime="${call.at.toISOString()}" title="${exactly(call.at)}"
      >${call.at.toISOString().slice(11, 16)}</time
    >
    <span class="grow"
      ><b>${title}</b>${name === undefined ? "" : html` <code>${name}</code>`}<br />
      <span class="note">${whose(told, call)}</span></span
    >
    <span class="ended"
      ><span class="${moods[outcome]}">${say(language, `outcome_${outcome}`)}</span>
      ${why === undefined ? "" : html`<span class="note">${why}</span>`}</span
    >
  </li>`;
}

function whose(told: Told, call: PersonCall): string {
  const title = told.catalog.upstreams.get(call.upstream)?.title ?? call.upstream;
  const upstream = nameIn(told.language, title);
  const account = told.accounts.get(call.accountId ?? "");
  const isSaid = account?.startsWith(upstream) === true;
  const parts = [agentNameIn(told.language, call), account, isSaid ? undefined : upstream];
  return parts.filter((part) => part !== undefined).join(" · ");
}

/** What a person is told an agent is called. */
export function agentNameIn(
  language: Language,
  { agent, agentName }: Pick<PersonCall, "agent" | "agentName">,
): string {
  if (agentName !== null) return plain(agentName);
  if (agent?.startsWith("session:") !== true) return say(language, "unknown_agent");
  return say(language, "session_named", { id: agent.slice(-6) });
}

type Called = { readonly title: string; readonly name: string | undefined };

/** A tool by its title, anything else in plain words; with the name that the agent used, where that says more. */
export function whatWasCalled(told: Told, call: PersonCall): Called {
  const { language } = told;
  const name = call.name === null ? undefined : plain(call.name);
  if (call.rpcMethod !== "tools/call") return { title: say(language, methodWord(call)), name };
  const title = toolTitle(told, { upstream: call.upstream, name: call.name ?? "" });
  return { title, name: title === name ? undefined : name };
}

/** In the reader's language where we know the tool, else as its server calls it. */
export function toolTitle(
  { catalog, language, titles }: Pick<Told, "catalog" | "language" | "titles">,
  tool: { readonly upstream: string; readonly name: string },
): string {
  const upstream = catalog.upstreams.get(tool.upstream);
  const own = upstream === undefined ? undefined : packTool(upstream, tool.name);
  return own?.title[language] ?? plain(titles.get(`${tool.upstream} ${tool.name}`) ?? tool.name);
}

const methodWords: Readonly<Record<string, WordName>> = {
  initialize: "method_initialize",
  "server/discover": "method_initialize",
  ping: "method_ping",
  batch: "method_batch",
  "resources/read": "method_read",
  "prompts/get": "method_prompt",
  "subscriptions/listen": "method_listen",
};

function methodWord({ rpcMethod, httpMethod }: PersonCall): WordName {
  if (rpcMethod === null) return noMessageWords[httpMethod] ?? "method_other";
  if (rpcMethod.startsWith("notifications/")) return "method_note";
  if (rpcMethod.endsWith("/list")) return "method_list";
  return Object.hasOwn(methodWords, rpcMethod)
    ? (methodWords[rpcMethod] ?? "method_other")
    : "method_other";
}

const noMessageWords: Readonly<Record<string, WordName>> = {
  GET: "method_listen",
  DELETE: "method_end",
};

/** Why a call ended as it did, where there is anything to say. */
function reasonOf(language: Language, call: PersonCall): string | undefined {
  const { guard, failure, status } = call;
  const outcome = outcomeOf(call);
  if (outcome === "done" || outcome === "refused") {
    return guard === null ? undefined : wordsOf(language, guard);
  }
  return failure === null ? `HTTP ${status}` : wordsOf(language, failure);
}

const codeWords: Readonly<Record<string, WordName>> = {
  approved_once: "guard_approved_once",
  approved_hour: "guard_approved_hour",
  approved_always: "guard_approved_always",
  switched_off: "guard_switched_off",
  upstream_switched_off: "guard_switched_off",
  agent_stopped: "guard_agent_stopped",
  rate_limited: "guard_rate_limited",
  too_many_at_once: "guard_rate_limited",
  budget_spent: "guard_budget_spent",
  loop_noticed: "guard_loop",
  loop_refused: "guard_loop",
  provider_pace: "guard_provider_pace",
  tool_refused: "guard_tool_refused",
  tool_held: "guard_tool_held",
  approval_needed: "guard_approval_needed",
  approval_refused: "guard_approval_refused",
  client_left: "call_client_left",
  upstream_unreachable: "call_upstream_away",
  upstream_timeout: "call_upstream_away",
  upstream_invalid: "call_upstream_away",
  upstream_redirected: "call_upstream_away",
  upstream_broke_off: "call_upstream_away",
  reconnect_needed: "call_reconnect",
  provider_busy: "call_provider_busy",
  message_invalid: "call_wrong",
  header_mismatch: "call_wrong",
  insufficient_scope: "guard_tool_refused",
};

function wordsOf(language: Language, code: string): string {
  const word = Object.hasOwn(codeWords, code) ? codeWords[code] : undefined;
  return word === undefined ? say(language, "call_other", { code }) : say(language, word);
}
