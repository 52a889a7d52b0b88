import { html, raw } from "hono/html";
import { connectable } from "#src/accounts/registration.ts";
import type { Account } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import type { SignedIn } from "#src/people/sign-in.ts";
import type { Language } from "#src/http/language.ts";
import { type Markup, page, accountName } from "./page.ts";
import { say } from "./words.ts";
import { redirectHost, redirectKind } from "#src/oauth-server/clients/redirect-uris.ts";
import type { AuthorizationRequest } from "#src/oauth-server/grants/authorization-request.ts";

type Deps = Pick<App, "catalog" | "config" | "publicUrl">;

/** What a person is told about a request, whichever way the agent came. */
export type AskedFor = Pick<AuthorizationRequest, "client" | "resource" | "scopes"> & {
  /** Absent for a device: its answer goes nowhere. */
  readonly redirectUri?: string;
  /** Our own address that shows this request again. */
  readonly continueTo: string;
};

/** For whoever is not signed in or has no fitting account: who asks, and how to go on. */
export function connectPage(
  app: Deps,
  language: Language,
  asked: AskedFor & {
    readonly person: SignedIn | undefined;
    /** Tells the client that the person does not want to. */
    readonly denyLink?: string;
  },
): Promise<Response> {
  const { person, denyLink } = asked;
  const body = html`${whoAsks(language, asked)}
    <p>${say(language, person === undefined ? "prove_first" : "connect_for_agent")}</p>
    <p>
      ${connectLinks(app, language, { ...asked, words: "go_on_with" })}
      ${
        denyLink === undefined
          ? ""
          : html`<a class="button quiet" href="${denyLink}">${say(language, "deny")}</a>`
      }
    </p>`;
  return page(language, titleOf(language, asked), body, { isPrivate: true });
}

/** Everything a person has to know before they agree, and the choice of the account. */
export function consentPage(
  app: Deps,
  language: Language,
  asked: AskedFor & {
    readonly person: SignedIn;
    readonly accounts: readonly Account[];
    /** Fields that come back with the answer. */
    readonly fields: Readonly<Record<string, string>>;
    readonly action: string;
    /** What else to look at before agreeing. */
    readonly notice?: Markup;
    /** The same request will be answered without asking. */
    readonly isRemembered?: boolean;
  },
): Promise<Response> {
  const { person, accounts, scopes, redirectUri, fields, action } = asked;
  const hidden = Object.entries({ form_token: person.formToken, ...fields });
  const body = html`${whoAsks(language, asked)} ${asked.notice ?? ""}
    <form method="post" action="${action}" class="block">
      ${hidden.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
      <h2>${say(language, "it_may")}</h2>
      <ul class="plain">
        ${scopes.map((scope) => html`<li>${say(language, `scope_${scope}`)}</li>`)}
      </ul>
      ${scopes.includes("mcp:call") ? readingChoice(language) : ""}
      <fieldset>
        <legend>${say(language, "which_account")}</legend>
        ${accounts.map((account, index) => accountChoice(app, language, { account, isFirst: index === 0 }))}
      </fieldset>
      <p>${connectLinks(app, language, { ...asked, words: "connect_another" })}</p>
      <p>
        <button name="decision" value="deny" class="quiet">${say(language, "deny")}</button>
        <button name="decision" value="allow">${say(language, "allow")}</button>
      </p>
    </form>
    <p class="note">
      ${asked.isRemembered === true ? say(language, "remembered") : ""}
      ${say(language, "end_any_time")}
    </p>`;
  const target = redirectUri === undefined ? {} : { formTarget: formTarget(redirectUri) };
  return page(language, titleOf(language, asked), body, { isPrivate: true, ...target });
}

/**
 * A browser holds the whole chain of redirects after a form to `form-action`, and a client's own callback may
 * lead on to a page of success elsewhere.
 */
function formTarget(redirectUri: string): string {
  const kind = redirectKind(redirectUri);
  if (kind === "web") return "https:";
  return kind === "loopback" ? "http: https:" : new URL(redirectUri).protocol;
}

function titleOf(language: Language, { client, resource }: AskedFor): string {
  return say(language, "agent_wants", { client: client.name, upstream: resource.upstream.title });
}

function whoAsks(language: Language, { client, redirectUri }: AskedFor): Markup {
  const host = redirectUri === undefined ? undefined : redirectHost(redirectUri);
  const isElsewhere = redirectUri === undefined || redirectKind(redirectUri) === "web";
  return html`<p class="note">${whoSaysSo(language, client)}</p>
    ${
      host === undefined
        ? ""
        : html`<p>
            ${say(language, "answer_goes_to", { host: "" })}<b><bdi>${host}</bdi></b
            >.
          </p>`
    }
    ${isElsewhere ? "" : html`<p class="warn box">${say(language, "loopback_warning")}</p>`}`;
}

function whoSaysSo(language: Language, { kind, clientId }: AskedFor["client"]): string {
  if (kind === "document") return say(language, "identified_by", { host: new URL(clientId).host });
  return say(language, kind === "operator" ? "added_by_operator" : "named_itself");
}

function readingChoice(language: Language): Markup {
  return html`<label class="choice">
    <input type="checkbox" name="only_reading" value="yes" />
    <span>${say(language, "only_reading")}</span>
  </label>`;
}

function accountChoice(
  app: Deps,
  language: Language,
  choice: { account: Account; isFirst: boolean },
): Markup {
  const { account, isFirst } = choice;
  return html`<label class="choice">
    <input type="radio" name="account" value="${account.id}" required ${isFirst ? "checked" : ""} />
    <span>${accountName(app, language, account)}</span>
    ${
      account.state === "active"
        ? ""
        : html`<span class="badge warn">${say(language, `state_${account.state}`)}</span>`
    }
  </label>`;
}

/** Only providers whose accounts the upstream can be used with. */
function connectLinks(
  app: Deps,
  language: Language,
  asked: AskedFor & { person: SignedIn | undefined; words: "go_on_with" | "connect_another" },
): Markup {
  const { credential } = asked.resource.upstream;
  const fitting = connectable(app).filter(
    ({ provider }) => credential.kind !== "account" || credential.provider === provider.name,
  );
  const link = asked.person === undefined ? {} : { link: asked.person.linkToken };
  const style = asked.words === "go_on_with" ? raw('class="button"') : "";
  if (fitting.length === 0) {
    const { title } = asked.resource.upstream;
    return html`${say(language, "upstream_not_configured", { upstream: title })}`;
  }
  return html`${fitting.map(({ provider }) => {
    const query = new URLSearchParams({
      provider: provider.name,
      continue: asked.continueTo,
      ...link,
    });
    return html`<a ${style} href="/auth/authorize?${query.toString()}"
      >${say(language, asked.words, { provider: provider.title })}</a
    > `;
  })}`;
}
