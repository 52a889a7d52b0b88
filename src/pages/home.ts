import { html } from "hono/html";
import { connectable } from "#src/accounts/registration.ts";
import { type Account, accountsOf, isDisconnected } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import type { SignedIn } from "#src/people/sign-in.ts";
import type { Language } from "#src/http/language.ts";
import { type Markup, page, accountName } from "./page.ts";
import { nameIn, say } from "./words.ts";
import { guardNotes } from "./guard-notes.ts";
import { clientConfigurations } from "./client-configuration.ts";
import { type Grant, openGrants } from "#src/oauth-server/grants/store.ts";
import { readScopes } from "#src/oauth-server/scopes.ts";
import type { Minted } from "#src/oauth-server/sessions/session.ts";
import { type Session, openSessions } from "#src/oauth-server/sessions/store.ts";

type Deps = Pick<App, "db" | "now" | "catalog" | "config" | "publicUrl">;

type Visit = {
  readonly person: SignedIn | undefined;
  readonly platform: string | null;
  readonly hasInvite: boolean;
};

/** Connect buttons for everybody; accounts and sessions for whoever is signed in. */
export async function homePage(app: Deps, language: Language, visit: Visit): Promise<Response> {
  const { person, platform } = visit;
  const accounts = person === undefined ? [] : await accountsOf(app.db, person.personId);
  const sessions =
    person === undefined ? [] : await openSessions(app.db, person.personId, app.now());
  const grants = person === undefined ? [] : await openGrants(app.db, person.personId);
  const body = html`<p>${say(language, "home_lead")}</p>
    ${inviteNote(app, language, visit)} ${connectButtons(app, language, person)}
    ${person === undefined ? "" : await guardNotes(app, person, language)}
    ${person === undefined ? "" : personal(app, language, { person, platform, accounts, sessions, grants })}`;
  return page(language, say(language, "home_title"), body);
}

/** Said before anybody goes to a provider for nothing. */
function inviteNote(app: Deps, language: Language, { person, hasInvite }: Visit): Markup | "" {
  if (person !== undefined || app.config.signUp === "open") return "";
  return html`<p class="note">${say(language, hasInvite ? "invite_kept" : "invite_hint")}</p>`;
}

function connectButtons(app: Deps, language: Language, person: SignedIn | undefined): Markup {
  const registrations = connectable(app);
  const link = person === undefined ? "" : `&link=${person.linkToken}`;
  if (registrations.length === 0) return html`<p>${say(language, "nothing_configured")}</p>`;
  return html`<p>
    ${registrations.map(
      ({ provider }) =>
        html`<a
          class="button ${person === undefined ? "" : "quiet"}"
          href="/auth/authorize?provider=${provider.name}${link}"
          >${say(language, "connect", { provider: provider.title })}</a
        > `,
    )}
  </p>`;
}

type Belongings = {
  readonly person: SignedIn;
  /** The agent that the person came to connect for, if the link named one. */
  readonly platform: string | null;
  readonly accounts: readonly Account[];
  readonly sessions: readonly Session[];
  readonly grants: readonly Grant[];
};

function personal(app: Deps, language: Language, belongings: Belongings): Markup {
  const { person, platform, accounts, sessions, grants } = belongings;
  const labels = new Map(
    accounts.map((account) => [account.id, accountName(app, language, account)]),
  );
  return html`<h2>${say(language, "accounts")}</h2>
    <ul>
      ${accounts.map((account) => accountRow(app, language, { account, person, platform }))}
    </ul>
    <h2>${say(language, "agents")}</h2>
    ${
      grants.length === 0
        ? html`<p class="note">${say(language, "no_agents")} <code>${app.publicUrl}/mcp</code></p>`
        : ""
    }
    <ul>
      ${grants.map((grant) => grantRow(app, language, grant, { labels, person }))}
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
  app: Deps,
  language: Language,
  row: { account: Account; person: SignedIn; platform: string | null },
): Markup {
  const { account } = row;
  const name = accountName(app, language, account);
  const badge = account.state === "active" ? "badge" : "badge warn";
  return html`<li>
    <b>${name}</b>
    <span class="${badge}">${say(language, `state_${account.state}`)}</span>
    ${isDisconnected(account) ? "" : accountActions(language, { ...row, name })}
  </li>`;
}

function accountActions(
  language: Language,
  row: { account: Account; person: SignedIn; platform: string | null; name: string },
): Markup {
  const { account, name } = row;
  const again = `/accounts/${account.id}/reconnect`;
  return html`<form method="post" action="/sessions">
      ${formToken(row.person)}<input type="hidden" name="account" value="${account.id}" />
      ${
        row.platform === null
          ? ""
          : html`<input type="hidden" name="platform" value="${row.platform}" />`
      }
      <button class="quiet" aria-label="${say(language, "create_session")}: ${name}">
        ${say(language, "create_session")}
      </button>
    </form>
    ${account.kind === "oauth" ? html`<a href="${again}">${say(language, "reconnect")}</a>` : ""}
    <a
      href="/accounts/${account.id}/disconnect"
      aria-label="${say(language, "disconnect")}: ${name}"
      >${say(language, "disconnect")}</a
    >`;
}

function grantRow(
  app: Deps,
  language: Language,
  grant: Grant,
  known: { labels: ReadonlyMap<string, string>; person: SignedIn },
): Markup {
  const since = say(language, "since", {
    date: dateIn(language, grant.activatedAt ?? grant.createdAt),
  });
  const upstream = app.catalog.upstreams.get(grant.upstream)?.title ?? grant.upstream;
  const host = grant.redirectHost === null ? "" : ` (${grant.redirectHost})`;
  const allowed = readScopes(grant.scope).map((scope) => say(language, `scope_${scope}`));
  const scopes = grant.onlyReading ? [...allowed, say(language, "only_reading")] : allowed;
  return html`<li>
    <span class="grow"
      ><b>${grant.clientName}</b>${host} · ${nameIn(language, upstream)}<br />
      ${known.labels.get(grant.accountId)}<br />
      <span class="note">${scopes.join("; ")}<br />${since}</span></span
    >
    <form method="post" action="/grants/${grant.id}/end">
      ${formToken(known.person)}
      <button class="quiet" aria-label="${say(language, "remove_permission")}: ${grant.clientName}">
        ${say(language, "remove_permission")}
      </button>
    </form>
  </li>`;
}

function sessionRow(
  language: Language,
  session: Session,
  known: { labels: ReadonlyMap<string, string>; person: SignedIn },
): Markup {
  const since = say(language, "since", { date: dateIn(language, session.createdAt) });
  const until = say(language, "until", { date: dateIn(language, session.expiresAt) });
  return html`<li>
    <span class="grow"
      >${known.labels.get(session.accountId)}${session.platform === null ? "" : ` · ${session.platform}`}<br />
      <span class="note">${since}, ${until}</span></span
    >
    <form method="post" action="/sessions/${session.id}/end">
      ${formToken(known.person)}<button class="quiet">${say(language, "end_session")}</button>
    </form>
  </li>`;
}

function dateIn(language: Language, date: Date): string {
  return date.toLocaleDateString(language, { dateStyle: "medium", timeZone: "UTC" });
}

/** The bearer, once, with what to paste where. */
export function bearerPage(
  app: Pick<App, "catalog" | "publicUrl">,
  language: Language,
  shown: { minted: Minted; account: Account },
): Promise<Response> {
  const bearer = shown.minted.bearer.reveal();
  const until = say(language, "until", { date: dateIn(language, shown.minted.expiresAt) });
  const names = upstreamsFor(app, shown.account);
  const body = html`<p class="warn">${say(language, "bearer_lead")}</p>
    <output id="bearer">${bearer}</output>
    <p class="note">
      ${say(language, "select_hint")} ${accountName(app, language, shown.account)}, ${until}.
    </p>
    <h2>${say(language, "ready_made")}</h2>
    ${names.map((name) => configurationList(language, { name, url: `${app.publicUrl}/mcp/${name}`, bearer }))}
    <p><a href="/">${say(language, "back")}</a></p>`;
  return page(language, say(language, "bearer_title"), body);
}

function configurationList(
  language: Language,
  target: { name: string; url: string; bearer: string },
): Markup {
  return html`<h3>${target.name}: <code>${target.url}</code></h3>
    ${clientConfigurations(target).map(
      ({ client, where, text }) =>
        html`<details>
          <summary>
            <b>${client}</b> <span class="note">${where ?? say(language, "shell")}</span>
          </summary>
          <pre>${text}</pre>
        </details>`,
    )}`;
}

/** The account's own provider first, of these the default upstream, then whatever any bearer may use. */
function upstreamsFor(app: Pick<App, "catalog">, account: Account): readonly string[] {
  const all = [...app.catalog.upstreams.values()];
  const own = all.filter(
    ({ credential }) => credential.kind === "account" && credential.provider === account.provider,
  );
  const open = all.filter(({ credential: { kind } }) => kind === "none" || kind === "key");
  const isDefault = ({ name }: { readonly name: string }) => name === app.catalog.defaultUpstream;
  return [...own.filter(isDefault), ...own.filter((each) => !isDefault(each)), ...open].map(
    ({ name }) => name,
  );
}

function formToken(person: SignedIn): Markup {
  return html`<input type="hidden" name="form_token" value="${person.formToken}" />`;
}
