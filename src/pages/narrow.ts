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
import { type SignedIn, formSender, signedIn } from "#src/people/sign-in.ts";
import {
  type NarrowDeps,
  type UsableTool,
  mostTools,
  narrowPermission,
  permissionOf,
  titlesOf,
} from "#src/policy/tools/narrow.ts";
import { timely } from "#src/clock.ts";
import { plain } from "#src/telemetry/redact.ts";
import { toolTitle } from "./activity-rows.ts";
import { lastUse, usageChart, usageOf } from "./activity-usage.ts";
import { dayIn, dayMs, dayOf, lastDay } from "./dates.ts";
import { scopesIn } from "./home.ts";
import { type Markup, accountName, page, seeOther } from "./page.ts";
import { nameIn, say } from "./words.ts";

export type PermissionDeps = Pick<App, "now" | "bindingKey"> & NarrowDeps;
type Deps = PermissionDeps;

/** `/grants/:id`: a person looks at a permission and takes a part of it away. */
export function mountNarrow(routes: PageRoutes, app: Deps): void {
  routes.get("/grants/:id", async ({ req }) => {
    const asked = await ownPermission(app, req.raw, req.param("id"));
    const note = req.query("saved") === undefined ? undefined : "narrow_saved";
    return await permissionPage(app, languageOf(req.raw), { ...asked, note, sent: undefined });
  });
  routes.post("/grants/:id", async ({ req }) => {
    const form = await readForm(req.raw);
    await formSender(app, req.raw, form);
    const asked = await ownPermission(app, req.raw, req.param("id"));
    const { grant, person } = asked;
    const wanted = wantedIn(form, asked, app.now());
    const which = { id: grant.id, personId: person.personId };
    const isLess = typeof wanted !== "string" && (await narrowPermission(app, which, wanted));
    if (isLess) return seeOther(`/grants/${grant.id}?saved`);
    const note = typeof wanted === "string" ? wanted : "narrow_nothing";
    return await permissionPage(app, languageOf(req.raw), { ...asked, note, sent: form });
  });
}

/** What a form takes away, or what is wrong with it. */
function wantedIn(
  form: URLSearchParams,
  { grant, tools }: Awaited<ReturnType<typeof ownPermission>>,
  now: Date,
) {
  const chosen = new Set(form.getAll("tool"));
  const isKept = (tool: UsableTool) => chosen.has(keyOf(grant, tool));
  const keep = form.get("tools") === "chosen" ? isKept : undefined;
  if (keep !== undefined && tools.length > 0 && !tools.some(keep)) return "narrow_none_left";
  const onlyReading = form.get("only_reading") === "yes";
  const day = form.get("until") ?? "";
  if (day === "") return { onlyReading, keep, until: undefined };
  const until = endOfDay(day, now);
  if (until === undefined) return "narrow_no_day";
  const isLater = grant.expiresAt !== null && until > grant.expiresAt;
  return isLater ? "narrow_later" : { onlyReading, keep, until };
}

/** Failures: `sign_in_needed`. */
export async function expectPerson(app: Deps, request: Request): Promise<SignedIn> {
  const person = await signedIn(app, request);
  if (person === undefined) throw new Failure("sign_in_needed");
  return person;
}

/** Nobody is told that somebody else has such a one. Failures: `sign_in_needed`, `not_found`. */
export async function ownPermission(app: Deps, request: Request, given: string) {
  const person = await expectPerson(app, request);
  const id = readId(given);
  if (id === undefined) throw new Failure("not_found");
  const permission = await permissionOf(app, { id, personId: person.personId });
  return { ...permission, person };
}

/** The end of a day; undefined for what is none, and for a day that has ended. */
function endOfDay(text: string, now: Date): Date | undefined {
  const day = dayIn(text);
  const end = new Date((day?.getTime() ?? Number.NaN) + dayMs);
  return end > now && end.getUTCFullYear() < 10_000 ? end : undefined;
}

/** Which tool is meant, in a form that may be no longer than 16 KiB. */
function keyOf({ upstream }: Grant, { name }: UsableTool): string {
  return hash("sha256", `${upstream} ${name}`, "base64url").slice(0, 12);
}

/** What a person calls an account; nothing where it is gone. */
export function namedAccount(app: Deps, language: Language, account: Account | undefined): string {
  return account === undefined ? "" : accountName(app, language, account);
}

type Shown = Awaited<ReturnType<typeof ownPermission>> & {
  /** What was chosen in a form that changed nothing: nobody has to choose it again. */
  readonly sent: URLSearchParams | undefined;
  readonly note:
    | "narrow_saved"
    | "narrow_none_left"
    | "narrow_no_day"
    | "narrow_later"
    | "narrow_nothing"
    | undefined;
};

async function permissionPage(app: Deps, language: Language, shown: Shown): Promise<Response> {
  const { grant, person, tools, note } = shown;
  const [account, usage, titles] = await Promise.all([
    timely(accountById(app.db, grant.accountId)),
    usageOf(app, person.personId),
    titlesOf(
      app,
      tools.map(({ name }) => ({ upstream: grant.upstream, name })),
    ),
  ]);
  const use = usage.ofAgent(`grant:${grant.id}`);
  const upstream = app.catalog.upstreams.get(grant.upstream)?.title ?? grant.upstream;
  const body = html`<p>
      <b>${namedAccount(app, language, account)}</b> · ${nameIn(language, upstream)}<br />
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
  const status = note === undefined || note === "narrow_saved" ? 200 : 400;
  const title = say(language, "permission_title", { agent: plain(grant.clientName) });
  return await page(language, title, body, { status });
}

function scopeList(language: Language, { grant, onlyReading }: Shown): Markup {
  return html`<h2>${say(language, "it_may_now")}</h2>
    <ul class="plain">
      ${scopesIn(grant.scope, onlyReading).map((scope) => html`<li>${say(language, scope)}</li>`)}
      ${grant.expiresAt === null ? "" : html`<li>${lastDay(language, grant.expiresAt)}</li>`}
    </ul>`;
}

type Titled = Shown & { readonly titles: ReadonlyMap<string, string> };

/** Only less can be said here. */
function narrowForm(app: Deps, language: Language, shown: Titled): Markup {
  const { grant, person, tools, onlyReading } = shown;
  const canCall = readScopes(grant.scope).includes("mcp:call");
  return html`<h2>${say(language, "narrow_title")}</h2>
    <p>${say(language, "narrow_lead")}</p>
    <form method="post" action="/grants/${grant.id}" class="block">
      <input type="hidden" name="form_token" value="${person.formToken}" />
      ${
        onlyReading || !canCall
          ? ""
          : html`<label class="choice">
              <input
                type="checkbox"
                name="only_reading"
                value="yes"
                ${shown.sent?.get("only_reading") === "yes" ? "checked" : ""}
              />
              <span>${say(language, "only_reading")}</span>
            </label>`
      }
      ${
        !canCall
          ? ""
          : tools.length === 0
            ? html`<p class="note">${say(language, "narrow_no_tools")}</p>`
            : toolChoices(app, language, shown)
      }
      <label class="until"
        >${say(language, "narrow_until")}
        <input
          type="date"
          name="until"
          min="${dayOf(app.now())}"
          value="${shown.sent?.get("until") ?? ""}"
        />
      </label>
      <button>${say(language, "narrow_save")}</button>
    </form>`;
}

function toolChoices(
  app: Deps,
  language: Language,
  { grant, tools, isCut, titles, sent }: Titled,
): Markup {
  const told = { catalog: app.catalog, language, titles };
  const kept = sent === undefined ? undefined : new Set(sent.getAll("tool"));
  return html`<fieldset>
    <legend>${say(language, "narrow_tools")}</legend>
    <p class="note">${say(language, "narrow_tools_hint")}</p>
    ${isCut ? html`<p class="note">${say(language, "narrow_tools_cut", { most: String(mostTools) })}</p>` : ""}
    <input type="hidden" name="tools" value="chosen" />
    ${tools.map((tool) => {
      const name = plain(tool.name);
      const title = toolTitle(told, { upstream: grant.upstream, name: tool.name });
      return html`<label class="choice">
        <input
          type="checkbox"
          name="tool"
          value="${keyOf(grant, tool)}"
          ${kept === undefined || kept.has(keyOf(grant, tool)) ? "checked" : ""}
        />
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
