import type { App } from "#src/app.ts";
import type { ApplyRevocations } from "#src/bus.ts";
import type { FloodGate } from "#src/http/flood-gate.ts";
import { type PageRoutes } from "#src/http/page-routes.ts";
import { hostCookie, readHostCookie } from "#src/http/forms.ts";
import { readId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { isSame, newToken, tokenPrefixes } from "#src/crypto/secret.ts";
import { atPublicUrl } from "#src/http/public-url.ts";
import { beginSignIn, signedIn } from "#src/people/sign-in.ts";
import { inviteOf } from "#src/people/sign-up.ts";
import { seeOther } from "./page.ts";
import { beginConnect, beginReconnect, finishConnect } from "#src/accounts/connect.ts";
import type { Credentials } from "#src/accounts/credential.ts";
import type { Journal } from "#src/accounts/journal/journal.ts";
import { callbackPaths, connectable } from "#src/accounts/registration.ts";

const browserCookie = "browser";
const fifteenMinutesInSeconds = 15 * 60;

export type ConnectDeps = App & {
  readonly credentials: Credentials;
  readonly journal: Journal;
  readonly applyRevocations: ApplyRevocations;
  /** Each start is a row that lives for an hour. */
  readonly connectGate: FloodGate;
};

/** `/auth/authorize`, `/accounts/:id/reconnect` and the callback at every configured redirect URI's path. */
export function mountConnect(routes: PageRoutes, app: ConnectDeps): void {
  routes.get("/auth/authorize", ({ req, env }) => {
    app.connectGate.pass(env.address());
    return authorize(app, req.raw);
  });
  routes.get("/accounts/:id/reconnect", ({ req, env }) => {
    app.connectGate.pass(env.address());
    return reconnect(app, req.raw, req.param("id"));
  });
  for (const path of callbackPaths(app))
    routes.get(path, ({ req, env }) => callback(app, req.raw, env.requestId));
}

async function authorize(app: ConnectDeps, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const atHome = atPublicUrl(app.publicUrl, request);
  if (atHome !== undefined) return seeOther(atHome);
  const browser = knownBrowser(request) ?? newToken("browser").reveal();
  const person = await linkingPerson(app, request, url);
  const { url: location } = await beginConnect(app, {
    provider: url.searchParams.get("provider") ?? defaultProvider(app),
    site: plainWord(url.searchParams.get("site")),
    platform: plainWord(url.searchParams.get("platform")),
    personId: person?.personId,
    browser,
    continueTo: continuation(url.searchParams.get("continue")),
  });
  return toProvider(location, browser);
}

/** The browser's cookie is set with the redirect, not before: it marks a connection that was begun here. */
function toProvider(location: string, browser: string): Response {
  return seeOther(location, [hostCookie(browserCookie, browser, fifteenMinutesInSeconds)]);
}

async function reconnect(app: ConnectDeps, request: Request, id: string): Promise<Response> {
  const atHome = atPublicUrl(app.publicUrl, request);
  if (atHome !== undefined) return seeOther(atHome);
  const accountId = readId(id);
  if (accountId === undefined) throw new Failure("not_found");
  const browser = knownBrowser(request) ?? newToken("browser").reveal();
  const person = await signedIn(app, request);
  const asked = { accountId, personId: person?.personId, browser };
  return toProvider((await beginReconnect(app, asked)).url, browser);
}

/**
 * The person to whom the account will belong: whoever is signed in, but only when a page of ours made the
 * link. Otherwise another site could lead a browser to link its own account to somebody else's person.
 */
async function linkingPerson(app: App, request: Request, url: URL) {
  const person = await signedIn(app, request);
  if (person === undefined) return undefined;
  return isSame(url.searchParams.get("link") ?? "", person.linkToken) ? person : undefined;
}

async function callback(app: ConnectDeps, request: Request, requestId: string): Promise<Response> {
  const url = new URL(request.url);
  const browser = knownBrowser(request);
  const connected = await finishConnect(app, {
    requestId,
    path: url.pathname,
    query: url.searchParams,
    browser,
    invite: inviteOf(request),
  });
  app.applyRevocations(connected.ended);
  app.credentials.forget(connected.accountId);
  const { platform, continueTo } = connected;
  const home = platform === null ? "/" : `/?platform=${encodeURIComponent(platform)}`;
  return seeOther(continueTo ?? home, [await beginSignIn(app, connected.personId)]);
}

function knownBrowser(request: Request): string | undefined {
  const cookie = readHostCookie(request, browserCookie);
  return cookie?.startsWith(tokenPrefixes.browser) === true && cookie.length < 100
    ? cookie
    : undefined;
}

/** Mission document 2 names no provider in its links: the default upstream's is meant, or the only one there is. */
function defaultProvider(app: App): string {
  const credential = app.catalog.upstreams.get(app.catalog.defaultUpstream)?.credential;
  if (credential?.kind === "account") return credential.provider;
  const [only, ...others] = connectable(app);
  return others.length === 0 ? (only?.provider.name ?? "") : "";
}

/** Only pages on which a person was deciding something: never another site, never an action. */
function continuation(text: string | null): string | undefined {
  const isOurs = text !== null && /^\/(authorize|device)\?[\x21-\x7e]{1,6000}$/.test(text);
  return isOurs && !text.includes("\\") ? text : undefined;
}

/** What a link may say about itself; anything longer or stranger is as good as not said. */
function plainWord(text: string | null): string | undefined {
  return text !== null && /^[\w .-]{1,60}$/.test(text) ? text : undefined;
}
