import type { App } from "#src/app.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { isSame, newToken, tokenPrefixes } from "#src/crypto/secret.ts";
import { hostCookie, readHostCookie } from "#src/http/cookies.ts";
import { beginSignIn, signedIn } from "#src/people/sign-in.ts";
import { seeOther } from "#src/screens/page.ts";
import { beginConnect, finishConnect } from "./connect.ts";
import type { Credentials } from "./credential.ts";
import { callbackPaths } from "./registration.ts";

const browserCookie = "browser";
const fifteenMinutesInSeconds = 15 * 60;

type Serving = App & { readonly credentials: Credentials };

/** `/auth/authorize` and the callback at every configured redirect URI's path. */
export function mountAccounts(routes: PageRoutes, app: Serving): void {
  routes.get("/auth/authorize", ({ req }) => authorize(app, req.raw));
  for (const path of callbackPaths(app)) routes.get(path, ({ req }) => callback(app, req.raw));
}

async function authorize(app: App, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const atHome = atPublicUrl(app, request, url);
  if (atHome !== undefined) return seeOther(atHome);
  const browser = knownBrowser(request) ?? newToken("browser").reveal();
  const person = await linkingPerson(app, request, url);
  const { url: location } = await beginConnect(app, {
    provider: url.searchParams.get("provider") ?? defaultProvider(app),
    site: plainWord(url.searchParams.get("site")),
    platform: plainWord(url.searchParams.get("platform")),
    accountId: uuidOf(url.searchParams.get("account")),
    personId: person?.personId,
    browser,
  });
  return seeOther(location, [hostCookie(browserCookie, browser, fifteenMinutesInSeconds)]);
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

const loopback = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/**
 * A provider sends browsers to the public name; a cookie set under another name would be missing there.
 * Only between names of this machine: a proxy that rewrites Host would be sent round in circles.
 */
function atPublicUrl(app: App, request: Request, url: URL): string | undefined {
  const host = request.headers.get("host") ?? "";
  const own = new URL(app.publicUrl).host;
  if (host === own || !loopback.test(host) || !loopback.test(own)) return undefined;
  return `${app.publicUrl}${url.pathname}${url.search}`;
}

async function callback(app: Serving, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const browser = knownBrowser(request);
  const connected = await finishConnect(app, {
    path: url.pathname,
    query: url.searchParams,
    browser,
  });
  app.credentials.forget(connected.accountId);
  const platform =
    connected.platform === null ? "" : `?platform=${encodeURIComponent(connected.platform)}`;
  return seeOther(`/${platform}`, [await beginSignIn(app, connected.personId)]);
}

function knownBrowser(request: Request): string | undefined {
  const cookie = readHostCookie(request, browserCookie);
  return cookie?.startsWith(tokenPrefixes.browser) === true && cookie.length < 100
    ? cookie
    : undefined;
}

/** Mission document 2 names no provider in its links: the default upstream's is meant. */
function defaultProvider(app: App): string {
  const credential = app.catalog.upstreams.get(app.catalog.defaultUpstream)?.credential;
  return credential?.kind === "account" ? credential.provider : "";
}

function uuidOf(text: string | null): string | undefined {
  return text !== null && uuid.test(text) ? text : undefined;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What a link may say about itself; anything longer or stranger is as good as not said. */
function plainWord(text: string | null): string | undefined {
  return text !== null && /^[\w .-]{1,60}$/.test(text) ? text : undefined;
}
