import { hash } from "node:crypto";
import { html } from "hono/html";
import { type Account, accountById } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { readForm } from "#src/http/forms.ts";
import { type Language, languageOf } from "#src/http/language.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import type { Grant } from "#src/oauth-server/grants/store.ts";
import { readScopes } from "#src/oauth-server/scopes.ts";
import { openSessions } from "#src/oauth-server/sessions/store.ts";
import { type SignedIn, formSender, signedIn } from "#src/people/sign-in.ts";
import {
  type NarrowDeps,
  type UsableTool,
  narrowPermission,
  permissionOf,
  titlesOf,
} from "#src/policy/tools/narrow.ts";
import { plain } from "#src/telemetry/redact.ts";
import { agentNameIn, toolTitle } from "./activity-rows.ts";
import { dayOf, lastDay, lastUse, usageChart, usageOf } from "./activity-usage.ts";
import { type Markup, accountName, page, seeOther } from "./page.ts";
import { nameIn, say } from "./words.ts";

export type NarrowPageDeps = Pick<App, "now" | "bindingKey"> & NarrowDeps;
type Deps = NarrowPageDeps;

/** `/grants/:id`: a person looks at a permission and takes a part of it away; and the questions before all of it, or a session, ends. */
export function mountNarrow(routes: PageRoutes, app: Deps): void {
  routes.get("/grants/:id", async ({ req }) => {
    const asked = await ownPermission(app, req.raw, req.param("id"));
    const note = req.query("saved") === undefined ? undefined : "narrow_saved";
    return await permissionPage(app, languageOf(req.raw), { ...asked, note });
  });
  routes.post("/grants/:id", async ({ req }) => {
    const form = await readForm(req.raw);
    await formSender(app, req.raw, form);
    const asked = await ownPermission(app, req.raw, req.param("id"));
    const { grant, person, tools } = asked;
    const chosen = new Set(form.getAll("tool"));
    const keep = (tool: UsableTool) => chosen.has(keyOf(grant, tool));
    const choosesTools = form.get("tools") === "chosen";
    if (choosesTools && tools.length > 0 && !tools.some(keep)) {
      return await permissionPage(app, languageOf(req.raw), { ...asked, note: "narrow_none_left" });
    }
    const onlyReading = form.get("only_reading") === "yes";
    const which = { id: grant.id, personId: person.personId };
    const until = endOfDay(form.get("until") ?? "", app.now());
    await narrowPermission(app, which, {
      onlyReading,
      until,
      keep: choosesTools ? keep : undefined,
    });
    return seeOther(`/grants/${grant.id}?saved`);
  });
  routes.get("/grants/:id/end", async ({ req }) => {
    const { grant, person } = await ownPermission(app, req.raw, req.param("id"));
    const language = languageOf(req.raw);
    const account = await accountById(app.db, grant.accountId);
    const values = { agent: plain(grant.clientName), account: named(app, language, account) };
    return await questionPage(language, { values, person, is: "permission" });
  });
  routes.get("/sessions/:id/end", async ({ req }) => {
    const person = await expectPerson(app, req.raw);
    const id = readId(req.param("id"));
    const sessions = await openSessions(app.db, person.personId, app.now());
    const session = sessions.find((each) => each.id === id);
    if (session === undefined) throw new Failure("not_found");
    const language = languageOf(req.raw);
    const account = await accountById(app.db, session.accountId);
    const agent = agentNameIn(language, {
      agent: `session:${session.id}`,
      agentName: session.platform,
    });
    const values = { agent, account: named(app, language, account) };
    return await questionPage(language, { values, person, is: "session" });
  });
}

/** Failures: `sign_in_needed`. */
async function expectPerson(app: Deps, request: Request): Promise<SignedIn> {
  const person = await signedIn(app, request);
  if (person === undefined) throw new Failure("sign_in_needed");
  return person;
}

/** Nobody is told that somebody else has such a one. Failures: `sign_in_needed`, `not_found`. */
async function ownPermission(app: Deps, request: Request, given: string) {
  const person = await expectPerson(app, request);
  const id = readId(given);
  if (id === undefined) throw new Failure("not_found");
  const permission = await permissionOf(app, { id, personId: person.personId });
  return { ...permission, person };
}

/** The end of a day that has not ended (UTC); undefined for what is none. */
function endOfDay(day: string, now: Date): Date | undefined {
  const begins = /^\d{4}-\d\d-\d\d$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
  const end = new Date(begins + 86_400_000);
  return end > now && end.getUTCFullYear() < 10_000 ? end : undefined;
}

/** Which tool is meant, in a form that may be no longer than 16 KiB. */
function keyOf({ upstream }: Grant, { name }: UsableTool): string {
  return hash("sha256", `${upstream} ${name}`, "base64url").slice(0, 12);
}

function named(app: Deps, language: Language, account: Account | undefined): string {
  return account === undefined ? "" : accountName(app, language, account);
}

type Shown = Awaited<ReturnType<typeof ownPermission>> & {
  readonly note: "narrow_saved" | "narrow_none_left" | undefined;
};

async function permissionPage(app: Deps, language: Language, shown: Shown): Promise<Response> {
  const { grant, person, tools, note } = shown;
  const [account, usage, titles] = await Promise.all([
    accountById(app.db, grant.accountId),
    usageOf(app, person.personId),
    titlesOf(
      app,
      tools.map(({ name }) => ({ upstream: grant.upstream, name })),
    ),
  ]);
  const use = usage.ofAgent(`grant:${grant.id}`);
  const upstream = app.catalog.upstreams.get(grant.upstream)?.title ?? grant.upstream;
  const body = html`<p>
      <b>${named(app, language, account)}</b> · ${nameIn(language, upstream)}<br />
      <span class="note">${lastUse(language, use, app.now())}</span>
      · <a href="/activity?agent=grant:${grant.policyId}">${say(language, "activity")}</a>
    </p>
    ${usageChart(language, use)}
    ${note === undefined ? "" : html`<p class="box" role="status">${say(language, note)}</p>`}
    ${scopeList(language, shown)} ${narrowForm(app, language, { ...shown, titles })}
    <p>
      <a class="button quiet" href="/">${say(language, "back")}</a>
      <a class="button quiet" href="/grants/${grant.id}/end"
        >${say(language, "remove_permission")}</a
      >
    </p>`;
  const status = note === "narrow_none_left" ? 400 : 200;
  const title = say(language, "permission_title", { agent: plain(grant.clientName) });
  return await page(language, title, body, { status });
}

function scopeList(language: Language, { grant, onlyReading }: Shown): Markup {
  return html`<h2>${say(language, "it_may")}</h2>
    <ul class="plain">
      ${readScopes(grant.scope).map((scope) => html`<li>${say(language, `scope_${scope}`)}</li>`)}
      ${onlyReading ? html`<li>${say(language, "only_reading")}</li>` : ""}
      ${grant.expiresAt === null ? "" : html`<li>${lastDay(language, grant.expiresAt)}</li>`}
    </ul>`;
}

type Titled = Shown & { readonly titles: ReadonlyMap<string, string> };

/** Only less can be said here. */
function narrowForm(app: Deps, language: Language, shown: Titled): Markup | "" {
  const { grant, person, tools, onlyReading } = shown;
  if (!readScopes(grant.scope).includes("mcp:call")) return "";
  return html`<h2>${say(language, "narrow_title")}</h2>
    <p>${say(language, "narrow_lead")}</p>
    <form method="post" action="/grants/${grant.id}" class="block">
      <input type="hidden" name="form_token" value="${person.formToken}" />
      ${
        onlyReading
          ? ""
          : html`<label class="choice">
              <input type="checkbox" name="only_reading" value="yes" />
              <span>${say(language, "only_reading")}</span>
            </label>`
      }
      ${
        tools.length === 0
          ? html`<p class="note">${say(language, "narrow_no_tools")}</p>`
          : toolChoices(app, language, shown)
      }
      <label class="until"
        >${say(language, "narrow_until")}
        <input type="date" name="until" min="${dayOf(app.now())}" />
      </label>
      <button>${say(language, "narrow_save")}</button>
    </form>`;
}

function toolChoices(app: Deps, language: Language, { grant, tools, titles }: Titled): Markup {
  const told = { catalog: app.catalog, language, titles };
  return html`<fieldset>
    <legend>${say(language, "narrow_tools")}</legend>
    <p class="note">${say(language, "narrow_tools_hint")}</p>
    <input type="hidden" name="tools" value="chosen" />
    ${tools.map((tool) => {
      const name = plain(tool.name);
      const title = toolTitle(told, { upstream: grant.upstream, name: tool.name });
      return html`<label class="choice">
        <input type="checkbox" name="tool" value="${keyOf(grant, tool)}" checked />
        <span
          >${title}${title === name ? "" : html` <code>${name}</code>`}${
            tool.isReading
              ? ""
              : html` <span class="note">(${say(language, "tool_changes")})</span>`
          }</span
        >
      </label>`;
    })}
  </fieldset>`;
}

/** What ends, and the button that ends it. */
function questionPage(
  language: Language,
  asked: {
    readonly is: "permission" | "session";
    readonly values: { readonly agent: string; readonly account: string };
    readonly person: SignedIn;
  },
): Promise<Response> {
  const { is, values, person } = asked;
  const isSession = is === "session";
  const body = html`<p>${say(language, isSession ? "end_session_lead" : "remove_lead", values)}</p>
    <form method="post" class="block">
      <input type="hidden" name="form_token" value="${person.formToken}" />
      <a class="button quiet" href="/">${say(language, "back")}</a>
      <button>${say(language, isSession ? "end_session" : "remove_permission")}</button>
    </form>`;
  return page(language, say(language, isSession ? "end_session_title" : "remove_title"), body);
}
