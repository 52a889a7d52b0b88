import { html } from "hono/html";
import { connectable } from "#src/accounts/registration.ts";
import { type Account, accountsOf, isDisconnected } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import type { SignedIn } from "#src/people/sign-in.ts";
import type { Language } from "#src/http/language.ts";
import { type Markup, page, accountName } from "./page.ts";
import { type WordName, nameIn, say } from "./words.ts";
import { agentNameIn } from "./activity-rows.ts";
import { type Usage, lastUse, usageChart, usageOf } from "./activity-usage.ts";
import { dateIn, lastDay } from "./dates.ts";
import { countryChoice } from "./country.ts";
import { guardNotes } from "./guard-notes.ts";
import { qrCode } from "./qr-code.ts";
import { clientConfigurations, installLinks } from "./client-configuration.ts";
import { narrowingKeyOf } from "#src/oauth-server/grants/consent.ts";
import { narrowingsOf } from "#src/policy/tools/narrow-store.ts";
import { type Grant, openGrants } from "#src/oauth-server/grants/store.ts";
import { readScopes } from "#src/oauth-server/scopes.ts";
import type { Minted } from "#src/oauth-server/sessions/session.ts";
import { timely } from "#src/clock.ts";
import { type Session, openSessions } from "#src/oauth-server/sessions/store.ts";

type Deps = Pick<App, "db" | "now" | "catalog" | "config" | "publicUrl">;

type Visit = {
  readonly person: SignedIn | undefined;
  readonly platform: string | null;
  readonly hasInvite: boolean;
};

/** Connect buttons for everybody; what wants the person, accounts, agents and sessions for whoever is signed in. */
export async function homePage(app: Deps, language: Language, visit: Visit): Promise<Response> {
  const { person } = visit;
  const body = html`<p>${say(language, "home_lead")}</p>
    ${inviteNote(app, language, visit)}
    ${
      person === undefined
        ? connectButtons(app, language, person)
        : await personal(app, language, { ...visit, person })
    }`;
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
    </p>
    ${registrations.map((each) => countryChoice(language, each, link))}`;
}

type Known = {
  readonly person: SignedIn;
  /** The agent that the person came to connect for, if the link named one. */
  readonly platform: string | null;
  /** How accounts are named, by id. */
  readonly labels: ReadonlyMap<string, string>;
  readonly usage: Usage;
  /** What the person has taken away from permissions. */
  readonly narrowings: Awaited<ReturnType<typeof narrowingsOf>>;
};

async function personal(
  app: Deps,
  language: Language,
  { person, platform }: Pick<Known, "person" | "platform">,
): Promise<Markup> {
  const { personId } = person;
  const [accounts, sessions, open, usage] = await Promise.all([
    timely(accountsOf(app.db, personId)),
    timely(openSessions(app.db, personId, app.now())),
    timely(openGrants(app.db, personId)),
    usageOf(app, personId),
  ]);
  // Of several grants of one permission the newest stands for all: they are narrowed and end together.
  const byPermission = Map.groupBy(open, ({ policyId, id }) => policyId ?? id);
  const grants = [...byPermission.values()].flatMap(([newest]) => newest ?? []);
  const [notes, narrowings] = await Promise.all([
    guardNotes(app, language, { person, accounts }),
    timely(narrowingsOf(app.db, grants.map(narrowingKeyOf))),
  ]);
  const names = accounts.map((each) => [each.id, accountName(app, language, each)] as const);
  const known = { person, platform, usage, narrowings, labels: new Map(names) };
  return html`${notes.urgent}
    <h2>${say(language, "accounts")}</h2>
    <ul>
      ${accounts.map((account) => accountRow(app, language, account, known))}
    </ul>
    ${connectButtons(app, language, person)}
    <h2>${say(language, "agents")}</h2>
    <p><a href="/activity">${say(language, "activity_of_agents")}</a></p>
    <ul>
      ${grants.map((grant) => grantRow(app, language, grant, known))}
    </ul>
    ${connectAgent(app, language, { accounts, isFirst: grants.length === 0 })}
    <h2>${say(language, "sessions")}</h2>
    <p>${say(language, "sessions_lead")}</p>
    ${sessions.length === 0 ? html`<p class="note">${say(language, "no_sessions")}</p>` : ""}
    <ul>
      ${sessions.map((session) => sessionRow(app, language, session, known))}
    </ul>
    ${notes.others}
    <form method="post" action="/sign-out">
      ${formToken(person)}<button class="quiet">${say(language, "sign_out")}</button>
    </form>`;
}

function accountRow(app: Deps, language: Language, account: Account, known: Known): Markup {
  const name = known.labels.get(account.id) ?? "";
  const badge = account.state === "active" ? "badge" : "badge warn";
  const use = known.usage.ofAccount(account.id);
  return html`<li>
    <span class="grow"
      ><b>${name}</b> <span class="${badge}">${say(language, `state_${account.state}`)}</span><br />
      <span class="note">${lastUse(language, use, app.now())}</span></span
    >
    ${usageChart(language, use)}
    ${isDisconnected(account) ? "" : accountActions(language, account, { ...known, name })}
  </li>`;
}

function accountActions(
  language: Language,
  account: Account,
  { person, platform, name }: Known & { readonly name: string },
): Markup {
  const again = `/accounts/${account.id}/reconnect`;
  return html`<span class="actions"
    ><form method="post" action="/sessions">
      ${formToken(person)}<input type="hidden" name="account" value="${account.id}" />
      ${platform === null ? "" : html`<input type="hidden" name="platform" value="${platform}" />`}
      <button class="quiet" aria-label="${say(language, "create_session")}: ${name}">
        ${say(language, "create_session")}
      </button>
    </form>
    ${account.kind === "oauth" ? html`<a href="${again}">${say(language, "reconnect")}</a>` : ""}
    <a
      href="/accounts/${account.id}/disconnect"
      aria-label="${say(language, "disconnect")}: ${name}"
      >${say(language, "disconnect")}</a
    ></span
  >`;
}

function grantRow(app: Deps, language: Language, grant: Grant, known: Known): Markup {
  const since = say(language, "since", {
    date: dateIn(language, grant.activatedAt ?? grant.createdAt),
  });
  const upstream = app.catalog.upstreams.get(grant.upstream)?.title ?? grant.upstream;
  const host = grant.redirectHost === null ? "" : ` (${grant.redirectHost})`;
  const use = known.usage.ofAgent(`grant:${grant.id}`);
  const change = say(language, "change");
  const end = {
    at: `/grants/${grant.id}/end`,
    word: "remove_permission",
    whose: grant.clientName,
  } as const;
  return html`<li>
    <span class="grow"
      ><b>${grant.clientName}</b>${host} · ${nameIn(language, upstream)}<br />
      ${known.labels.get(grant.accountId)}<br />
      <span class="note"
        >${whatItMay(language, grant, known).join("; ")}<br />${since}.
        ${lastUse(language, use, app.now())}</span
      ></span
    >
    ${usageChart(language, use)}
    <span class="actions"
      ><a href="/grants/${grant.id}" aria-label="${change}: ${grant.clientName}">${change}</a>
      ${endButton(language, end)}</span
    >
  </li>`;
}

function whatItMay(language: Language, grant: Grant, { narrowings }: Known): readonly string[] {
  const narrowing = narrowings.get(narrowingKeyOf(grant));
  const left = narrowing?.allow?.length;
  const isReading = grant.onlyReading || narrowing?.deny.includes("@writing") === true;
  return [
    ...scopesIn(grant.scope, isReading).map((scope) => say(language, scope)),
    ...(grant.expiresAt === null ? [] : [lastDay(language, grant.expiresAt)]),
    // Of those that were left some may change something: how many it can use then is not known here.
    ...(left === undefined || isReading
      ? []
      : [say(language, "tools_left", { count: String(left) })]),
  ];
}

/** What it may do, in words: with tools that change something, or without. */
export function scopesIn(scope: string, isReading: boolean) {
  return readScopes(scope).map((each) =>
    each === "mcp:call" && isReading ? ("scope_reading" as const) : (`scope_${each}` as const),
  );
}

/** Leads to the question, not to the end itself. */
function endButton(
  language: Language,
  end: { readonly at: string; readonly word: WordName; readonly whose: string },
): Markup {
  const words = say(language, end.word);
  return html`<form method="get" action="${end.at}">
    <button class="quiet" aria-label="${words}: ${end.whose}">${words}</button>
  </form>`;
}

function sessionRow(app: Deps, language: Language, session: Session, known: Known): Markup {
  const since = say(language, "since", { date: dateIn(language, session.createdAt) });
  const until = say(language, "until", { date: dateIn(language, session.expiresAt) });
  const { id, platform } = session;
  const agent = agentNameIn(language, { agent: `session:${id}`, agentName: platform });
  const use = known.usage.ofAgent(`session:${id}`);
  const end = { at: `/sessions/${id}/end`, word: "end_session", whose: agent } as const;
  return html`<li>
    <span class="grow"
      >${known.labels.get(session.accountId)} · ${agent}<br />
      <span class="note">${since}, ${until}. ${lastUse(language, use, app.now())}</span></span
    >
    ${usageChart(language, use)}
    <span class="actions">${endButton(language, end)}</span>
  </li>`;
}

/** The addresses that an agent takes, each with what adds it to a client; open for whoever has connected none yet. */
function connectAgent(
  app: Deps,
  language: Language,
  { accounts, isFirst }: { readonly accounts: readonly Account[]; readonly isFirst: boolean },
): Markup {
  const fitting = accounts.filter((account) => !isDisconnected(account));
  const names = [...new Set(fitting.flatMap((account) => upstreamsFor(app, account)))];
  const main = `${app.publicUrl}/mcp`;
  return html`${
      isFirst
        ? html`<p class="note">${say(language, "no_agents")} <code>${app.publicUrl}/mcp</code></p>`
        : ""
    }
    <details ${isFirst ? "open" : ""}>
      <summary>${say(language, "connect_agent")}</summary>
      <p class="note">${say(language, "connect_agent_lead")}</p>
      ${names.map((name) => oneClick(language, { name, url: `${app.publicUrl}/mcp/${name}` }))}
      ${qrCode(main, say(language, "qr_code", { url: main }))}
    </details>`;
}

function oneClick(language: Language, target: { name: string; url: string }): Markup {
  const line = clientConfigurations({ ...target, bearer: undefined }).find(
    ({ where, text }) => where === undefined && text.startsWith("claude "),
  );
  return html`<h3>${target.name}: <code>${target.url}</code></h3>
    <p>${installButtons(language, target)}</p>
    ${line === undefined ? "" : html`<pre>${line.text}</pre>`}`;
}

function installButtons(language: Language, target: { name: string; url: string }): Markup {
  return html`${installLinks(target).map(
    ({ client, href }) =>
      html`<a
        class="button quiet"
        href="${href}"
        aria-label="${say(language, "add_to", { client })}: ${target.name}"
        >${say(language, "add_to", { client })}</a
      > `,
  )}`;
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
    )}
    <p>
      <span class="note">${say(language, "without_key")}</span> ${installButtons(language, target)}
    </p>`;
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
