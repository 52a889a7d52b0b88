import { html } from "hono/html";
import { connectable } from "#src/accounts/registration.ts";
import { type Account, accountsOf } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import type { SignedIn } from "#src/people/sign-in.ts";
import type { Language } from "#src/screens/language.ts";
import { type Markup, page } from "#src/screens/page.ts";
import { say } from "#src/screens/words.ts";
import { clientConfigurations } from "./client-configuration.ts";
import type { Minted } from "./session.ts";
import { type Session, openSessions } from "./store.ts";

type Showing = Pick<App, "db" | "now" | "catalog" | "config" | "publicUrl">;

/** Connect buttons for everybody; accounts and sessions for whoever is signed in. */
export async function homePage(
  app: Showing,
  language: Language,
  person: SignedIn | undefined,
): Promise<Response> {
  const accounts = person === undefined ? [] : await accountsOf(app.db, person.personId);
  const sessions =
    person === undefined ? [] : await openSessions(app.db, person.personId, app.now());
  const body = html`<p>${say(language, "home_lead")}</p>
    ${connectButtons(app, language)}
    ${person === undefined ? "" : personal(app, language, { person, accounts, sessions })}`;
  return page(language, say(language, "home_title"), body);
}

function connectButtons(app: Showing, language: Language): Markup {
  const registrations = connectable(app);
  if (registrations.length === 0) return html`<p>${say(language, "nothing_configured")}</p>`;
  return html`<p>
    ${registrations.map(
      ({ provider }) =>
        html`<a class="button" href="/auth/authorize?provider=${provider.name}"
          >${say(language, "connect", { provider: provider.title })}</a
        > `,
    )}
  </p>`;
}

type Belongings = {
  readonly person: SignedIn;
  readonly accounts: readonly Account[];
  readonly sessions: readonly Session[];
};

function personal(app: Showing, language: Language, belongings: Belongings): Markup {
  const { person, accounts, sessions } = belongings;
  const labels = new Map(accounts.map((account) => [account.id, nameOf(app, account)]));
  return html`<h2>${say(language, "accounts")}</h2>
    <ul>
      ${accounts.map((account) => accountRow(app, language, { account, person }))}
    </ul>
    <h2>${say(language, "sessions")}</h2>
    <p>${say(language, "sessions_lead")}</p>
    ${sessions.length === 0 ? html`<p class="note">${say(language, "no_sessions")}</p>` : ""}
    <ul>
      ${sessions.map((session) => sessionRow(language, session, { labels, person }))}
    </ul>
    <form method="post" action="/sign-out">
      ${formToken(person)}<button class="quiet">${say(language, "sign_out")}</button>
    </form>`;
}

function accountRow(
  app: Showing,
  language: Language,
  row: { account: Account; person: SignedIn },
): Markup {
  const { account, person } = row;
  const name = nameOf(app, account);
  const again = `/auth/authorize?provider=${account.provider}&account=${account.id}`;
  return html`<li>
    <b>${name}</b> · ${say(language, `state_${account.state}`)}
    <form method="post" action="/sessions">
      ${formToken(person)}<input type="hidden" name="account" value="${account.id}" />
      <button>${say(language, "create_session", { account: name })}</button>
    </form>
    ${account.kind === "oauth" ? html`<a href="${again}">${say(language, "reconnect")}</a>` : ""}
  </li>`;
}

function sessionRow(
  language: Language,
  session: Session,
  known: { labels: ReadonlyMap<string, string>; person: SignedIn },
): Markup {
  const date = session.expiresAt.toISOString().slice(0, 10);
  return html`<li>
    ${known.labels.get(session.accountId)}${session.platform === null ? "" : ` · ${session.platform}`}
    · ${say(language, "until", { date })}
    <form method="post" action="/sessions/${session.id}/end">
      ${formToken(known.person)}<button class="quiet">${say(language, "end_session")}</button>
    </form>
  </li>`;
}

/** The bearer, once, with what to paste where. */
export function bearerPage(
  app: Pick<App, "catalog" | "publicUrl">,
  language: Language,
  shown: { minted: Minted; account: Account },
): Promise<Response> {
  const bearer = shown.minted.bearer.reveal();
  const date = shown.minted.expiresAt.toISOString().slice(0, 10);
  const targets = upstreamsFor(app, shown.account).map((name) => ({
    name,
    url: `${app.publicUrl}/mcp/${name}`,
    bearer,
  }));
  const body = html`<p>${say(language, "bearer_lead")} (${say(language, "until", { date })})</p>
    <output id="bearer">${bearer}</output>
    <h2>${say(language, "ready_made")}</h2>
    ${targets.map(
      (target) =>
        html`<h3>${target.name}: <code>${target.url}</code></h3>
          ${clientConfigurations(target).map(
            ({ client, where, text }) =>
              html`<p><b>${client}</b> <span class="note">${where}</span></p>
                <pre>${text}</pre>`,
          )}`,
    )}
    <p><a href="/">${say(language, "back")}</a></p>`;
  return page(language, say(language, "bearer_title"), body);
}

/** The account's own provider first, then whatever any bearer may use. */
function upstreamsFor(app: Pick<App, "catalog">, account: Account): readonly string[] {
  const all = [...app.catalog.upstreams.values()];
  const own = all.filter(
    ({ credential }) => credential.kind === "account" && credential.provider === account.provider,
  );
  const open = all.filter(({ credential }) => credential.kind !== "account");
  return [...own, ...open].map(({ name }) => name);
}

function nameOf(app: Pick<App, "catalog">, account: Account): string {
  const title = app.catalog.providers.get(account.provider)?.title ?? account.provider;
  const site = account.site === null ? "" : ` (${account.site})`;
  return `${title} ${account.label ?? account.sellerId}${site}`;
}

function formToken(person: SignedIn): Markup {
  return html`<input type="hidden" name="form_token" value="${person.formToken}" />`;
}
