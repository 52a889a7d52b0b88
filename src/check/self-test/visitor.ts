/** A cookie jar and a way to fetch with it: what a browser does between two pages. */
export type Visitor = {
  readonly cookies: Map<string, string>;
  get(url: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  post(url: string, form: Readonly<Record<string, string>>): Promise<Response>;
};

/** @param route Which replica behind the public name answers this request; the address stays what it is. */
export function newVisitor(route: (url: string) => string = (url) => url): Visitor {
  const cookies = new Map<string, string>();
  async function visit(url: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("accept", "text/html");
    headers.set("cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    if (route(url) !== url) headers.set("host", new URL(url).host);
    const response = await localFetch(route(url), { ...init, headers, redirect: "manual" });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ""] = cookie.split(";");
      const [name = "", value = ""] = pair.split(/=(.*)/s);
      cookies.set(name, value);
    }
    return response;
  }
  return {
    cookies,
    get: (url, headers = {}) => visit(url, { headers }),
    post: (url, form) => visit(url, { method: "POST", body: new URLSearchParams(form) }),
  };
}

export function locationOf(response: Response): string {
  const location = response.headers.get("location");
  if (location === null) throw new Error(`expected a redirect, got ${response.status}`);
  return location;
}

export type ConnectVisit = {
  readonly url: string;
  readonly provider?: string;
  readonly seller?: string;
  readonly query?: string;
  /** Connect this very account again, by its link. */
  readonly again?: string | undefined;
};

/** Walks to the provider, chooses a seller there and comes back to the callback's URL, without opening it. */
export async function walkToCallback(visitor: Visitor, visit: ConnectVisit): Promise<string> {
  const { url, provider = "mercadolibre", seller = "100200300", query = "" } = visit;
  const link = await linkParameter(visitor, url);
  const path =
    visit.again === undefined
      ? `/auth/authorize?provider=${provider}${query}${link}`
      : `/accounts/${visit.again}/reconnect`;
  const begun = await visitor.get(`${url}${path}`);
  const decided = await visitor.post(locationOf(begun), { seller });
  return locationOf(decided);
}

/** What our own page adds to its links for whoever is signed in. */
async function linkParameter(visitor: Visitor, url: string): Promise<string> {
  if (!visitor.cookies.has("__Host-smartdash-person")) return "";
  const home = await (await visitor.get(`${url}/`)).text();
  const token = /link=([\w-]{43})/.exec(home)?.[1];
  return token === undefined ? "" : `&link=${token}`;
}

/** `fetch` on this machine: not through HTTP_PROXY, redirects not followed, ten seconds. */
export function localFetch(url: string, init: RequestInit = {}): Promise<Response> {
  // `proxy` is Bun's own.
  const options: RequestInit & { proxy: false } = {
    redirect: "manual",
    signal: AbortSignal.timeout(limitMs),
    ...init,
    proxy: false,
  };
  return fetch(url, options);
}

const limitMs = 10_000;
