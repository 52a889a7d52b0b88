import { html } from "hono/html";
import type { Account } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import type { SignedIn } from "#src/people/sign-in.ts";
import type { Language } from "#src/http/language.ts";
import { type Markup, accountName } from "./page.ts";
import { say } from "./words.ts";
import { plain } from "#src/telemetry/redact.ts";
import type { AskedFor } from "./consent.ts";
import type { Switch } from "#src/policy/switch-store.ts";
import { type Switches, letAgentGoOn } from "#src/policy/switches.ts";
import { narrowingKeyOf, policyIdOf } from "#src/oauth-server/grants/consent.ts";
import { narrowingsOf } from "#src/policy/tools/narrow-store.ts";

/** What looking for stops leans on. An agent may have been stopped by a guard, because it went round in circles, or by the operator. */
export type StopDeps = Pick<App, "catalog" | "db" | "log"> & {
  readonly switches: Pick<Switches, "find">;
};

type Asked = Pick<AskedFor, "client" | "resource">;
type Whose = { readonly person: SignedIn; readonly account: Pick<Account, "id"> };

/** What stops the agent that asks, for this person and account: a new permission does not shake it off. */
export function stopOf({ switches }: StopDeps, asked: Asked, whose: Whose): Switch | undefined {
  return switches.find(keyOf(asked, whose));
}

/** A person who has read why it was stopped, and allows it again, lets it go on. */
export async function letGoOn(app: StopDeps, asked: Asked, whose: Whose): Promise<void> {
  const key = keyOf(asked, whose);
  if (app.switches.find(key)?.by === "guard") await letAgentGoOn(app, key);
}

/**
 * For the page on which a person decides: a line for each account for which it was stopped, and for each of which they
 * have taken a part away since, which a yes gives back; nothing where there is none.
 */
export async function stopNotice(
  app: StopDeps,
  language: Language,
  visit: { asked: Asked; person: SignedIn; accounts: readonly Account[] },
): Promise<{ readonly notice?: Markup }> {
  const { asked, person, accounts } = visit;
  const narrowingOf = (account: Account) =>
    narrowingKeyOf({ policyId: idOf(asked, { person, account }) });
  const narrowings = await narrowingsOf(app.db, accounts.map(narrowingOf));
  const lines = accounts.flatMap((account) => {
    const whose =
      accounts.length === 1 ? "" : html`<strong>${accountName(app, language, account)}</strong>: `;
    const line = (words: string, why: Markup | "" = "") =>
      html`<p class="warn box">${whose}${words}${why}</p>`;
    const stop = stopOf(app, asked, { person, account });
    const isNarrowed = narrowings.has(narrowingOf(account));
    return [
      stop === undefined ? undefined : line(stopWords(language, stop), reasonOf(stop)),
      isNarrowed ? line(say(language, "narrowed_before")) : undefined,
    ].filter((each) => each !== undefined);
  });
  return lines.length === 0 ? {} : { notice: html`${lines}` };
}

function stopWords(language: Language, { by }: Switch): string {
  return say(language, by === "guard" ? "stopped_before" : "switched_off_before");
}

function reasonOf({ reason }: Switch): Markup | "" {
  return reason === null ? "" : html` (${plain(reason)})`;
}

function keyOf(asked: Asked, whose: Whose): string {
  return `grant:${idOf(asked, whose)}`;
}

function idOf({ client, resource }: Asked, { person, account }: Whose): string {
  const upstream = resource.upstream.name;
  const about = { personId: person.personId, accountId: account.id, upstream };
  return policyIdOf({ ...about, clientId: client.clientId });
}
