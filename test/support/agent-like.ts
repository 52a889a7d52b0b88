import { createHash, randomBytes } from "node:crypto";
import { type Visitor, connectSeller, locationOf, newVisitor } from "./browser-like.ts";

/** What an agent does between its own screens: register, send a person to `/authorize`, redeem, refresh. */
export type Registration = { readonly client_id: string; readonly client_secret?: string };

export type Tokens = {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly scope: string;
};

export const agentRedirect = "https://agent.example/callback";

export async function registerAgent(
  url: string,
  metadata: Readonly<Record<string, unknown>> = {},
): Promise<Registration> {
  const response = await fetch(`${url}/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      client_name: "Test agent",
      redirect_uris: [agentRedirect],
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      ...metadata,
    }),
  });
  if (response.status !== 201) throw new Error(`register: ${await response.text()}`);
  return (await response.json()) as Registration;
}

export type Pkce = { readonly verifier: string; readonly challenge: string };

export function newPkce(): Pkce {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") };
}

export type Asking = {
  readonly answers?: Readonly<Record<string, string>>;
  readonly url: string;
  readonly clientId: string;
  readonly pkce: Pkce;
  readonly redirectUri?: string;
  /** Further or other parameters; undefined leaves one out. */
  readonly query?: Readonly<Record<string, string | undefined>>;
};

export function authorizeUrl(asking: Asking): string {
  const { url, clientId, pkce, redirectUri = agentRedirect, query = {} } = asking;
  const all = {
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    code_challenge: pkce.challenge,
    code_challenge_method: "S256",
    state: "s1",
    ...query,
  };
  const given = Object.entries(all).filter(
    (each): each is [string, string] => each[1] !== undefined,
  );
  return `${url}/authorize?${new URLSearchParams(given).toString()}`;
}

/** The form of a consent page, as the browser would post it. */
export function formIn(html: string): Record<string, string> {
  const fields = [
    ...html.matchAll(/<input\s+type="(?:hidden|radio)"\s+name="([^"]+)"\s+value="([^"]*)"/g),
  ];
  const form: Record<string, string> = {};
  for (const [, name = "", value = ""] of fields) form[name] ??= unescaped(value);
  return form;
}

function unescaped(text: string): string {
  return text
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

/** Opens the authorization page and allows; the result is where the browser is sent. */
export async function allow(visitor: Visitor, asking: Asking): Promise<URL> {
  const shown = await visitor.get(authorizeUrl(asking));
  if (shown.status === 303) return new URL(locationOf(shown));
  const html = await shown.text();
  const form = formIn(html);
  if (form["consent"] === undefined) throw new Error(`no consent page: ${shown.status} ${html}`);
  const decided = await visitor.post(`${asking.url}/authorize`, {
    ...form,
    ...asking.answers,
    decision: "allow",
  });
  return new URL(locationOf(decided));
}

export async function tokenRequest(
  url: string,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return await fetch(`${url}/token`, {
    method: "POST",
    headers,
    body: new URLSearchParams(fields),
  });
}

export type Authorized = {
  readonly visitor: Visitor;
  readonly clientId: string;
  readonly code: string;
  readonly pkce: Pkce;
  readonly tokens: Tokens;
};

/** The whole journey of a public client: registered, allowed by a freshly connected seller, redeemed. */
export async function authorizedAgent(
  url: string,
  options: {
    readonly visitor?: Visitor;
    readonly clientId?: string;
    readonly query?: Asking["query"];
    readonly seller?: string;
    /** What the person ticks besides. */
    readonly answers?: Asking["answers"];
  } = {},
): Promise<Authorized> {
  const visitor = options.visitor ?? newVisitor();
  if (options.visitor === undefined) {
    await connectSeller(visitor, {
      url,
      ...(options.seller === undefined ? {} : { seller: options.seller }),
    });
  }
  const clientId = options.clientId ?? (await registerAgent(url)).client_id;
  const pkce = newPkce();
  const back = await allow(visitor, {
    url,
    clientId,
    pkce,
    ...(options.query === undefined ? {} : { query: options.query }),
    ...(options.answers === undefined ? {} : { answers: options.answers }),
  });
  const code = back.searchParams.get("code") ?? "";
  const response = await redeem(url, { clientId, code, pkce });
  if (response.status !== 200) throw new Error(`token: ${await response.text()} at ${back.href}`);
  return { visitor, clientId, code, pkce, tokens: (await response.json()) as Tokens };
}

export function redeem(
  url: string,
  asked: { clientId: string; code: string; pkce: Pkce; redirectUri?: string },
): Promise<Response> {
  return tokenRequest(url, {
    grant_type: "authorization_code",
    client_id: asked.clientId,
    code: asked.code,
    redirect_uri: asked.redirectUri ?? agentRedirect,
    code_verifier: asked.pkce.verifier,
  });
}

export function refresh(
  url: string,
  asked: { clientId: string; refreshToken: string; more?: Readonly<Record<string, string>> },
): Promise<Response> {
  return tokenRequest(url, {
    grant_type: "refresh_token",
    client_id: asked.clientId,
    refresh_token: asked.refreshToken,
    ...asked.more,
  });
}
