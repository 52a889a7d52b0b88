import { html } from "hono/html";
import {
  type Disconnected,
  type DisconnectDeps,
  disconnect,
} from "#src/accounts/revocation/disconnect.ts";
import { whatEndsWith } from "#src/accounts/revocation/store.ts";
import { type Account, accountById, isDisconnected } from "#src/accounts/store.ts";
import { Failure } from "#src/failure.ts";
import type { SignedIn } from "#src/people/sign-in.ts";
import type { Language } from "#src/http/language.ts";
import { type Markup, page, accountName } from "./page.ts";
import { say } from "./words.ts";

type Asked = { readonly accountId: string; readonly person: SignedIn };

/** What would end with an account, and the button that ends it. Failures: `not_found`. */
export async function disconnectPage(
  app: DisconnectDeps,
  language: Language,
  asked: Asked,
): Promise<Response> {
  const account = await ownAccount(app, asked);
  const ends = await whatEndsWith(app.db, account);
  const counts = { sessions: String(ends.sessions), agents: String(ends.grants + ends.agents) };
  const { title, canBeAsked } = providerOf(app, account);
  const body = html`<p><b>${accountName(app, language, account)}</b></p>
    <p>${say(language, "disconnect_ends", counts)}</p>
    <p>
      ${say(language, canBeAsked ? "disconnect_asks_provider" : "disconnect_by_hand", { provider: title })}
    </p>
    <form method="post">
      <input type="hidden" name="form_token" value="${asked.person.formToken}" />
      <a class="button quiet" href="/">${say(language, "back")}</a>
      <button>${say(language, "disconnect")}</button>
    </form>`;
  return page(language, say(language, "disconnect_title"), body);
}

/** Disconnects, and says what is left to do. Failures: `not_found`. */
export async function disconnectedPage(
  app: DisconnectDeps,
  language: Language,
  asked: Asked,
): Promise<Response> {
  const account = await ownAccount(app, asked);
  const done = await disconnect(app, account.id, { why: "ended_by_person" });
  const body = html`<p><b>${accountName(app, language, account)}</b></p>
    ${outcome(language, done, providerOf(app, account).title)}
    <p><a class="button" href="/">${say(language, "back")}</a></p>`;
  return page(language, say(language, "disconnected_title"), body);
}

function outcome(language: Language, done: Disconnected, provider: string): Markup {
  if (done.atProvider !== "by_hand") {
    const words =
      done.atProvider === "pending" ? "disconnected_pending" : "disconnected_taken_back";
    return html`<p>${say(language, words, { provider })}</p>`;
  }
  return html`<p class="warn">${say(language, "disconnect_by_hand", { provider })}</p>
    ${done.page === undefined ? "" : html`<p><a href="${done.page}" rel="noreferrer">${done.page}</a></p>`}`;
}

async function ownAccount(app: DisconnectDeps, { accountId, person }: Asked): Promise<Account> {
  const account = await accountById(app.db, accountId);
  if (account?.personId !== person.personId || isDisconnected(account)) {
    throw new Failure("not_found");
  }
  return account;
}

function providerOf(app: DisconnectDeps, { provider, kind }: Account) {
  const profile = app.catalog.providers.get(provider);
  const how = profile?.revocation?.how;
  const canBeAsked = kind === "oauth" && how !== undefined && how !== "by_hand";
  return { title: profile?.title ?? provider, canBeAsked };
}
