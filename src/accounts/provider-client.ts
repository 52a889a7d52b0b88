import * as oauth from "oauth4webapi";
import type { App } from "#src/app.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { type OutsideAnswer, OutsideTrouble } from "#src/http/fetch-exchange.ts";
import type { Registration } from "./registration.ts";
import {
  type Refusal,
  type Tokens,
  fieldsOf,
  hasTokens,
  refusalOf,
  tokensIn,
} from "./token-answer.ts";

type TokenAnswer = { readonly tokens: Tokens } | { readonly refusal: Refusal };

type Deps = Pick<App, "outbound" | "now">;

/** Authorization code for tokens (RFC 6749 section 4.1.3). `answer` is the query of the callback. */
export function exchangeCode(
  app: Deps,
  registration: Registration,
  answer: { readonly query: URLSearchParams; readonly state: string; readonly verifier: Secret },
): Promise<TokenAnswer> {
  return ask(app, registration, async (server, client, options) => {
    const query = new URLSearchParams(answer.query);
    if (registration.provider.issuer === undefined) query.delete("iss");
    const proven = oauth.validateAuthResponse(server, client, query, answer.state);
    await oauth.authorizationCodeGrantRequest(
      server,
      client,
      authenticationOf(registration),
      proven,
      registration.redirectUri,
      registration.usesPkce ? answer.verifier.reveal() : oauth.nopkce,
      options,
    );
  });
}

/** Refresh token for tokens (RFC 6749 section 6). Asks exactly once. */
export function refreshTokens(
  app: Deps,
  registration: Registration,
  refreshToken: Secret,
): Promise<TokenAnswer> {
  return ask(app, registration, async (server, client, options) => {
    const authentication = authenticationOf(registration);
    const token = refreshToken.reveal();
    await oauth.refreshTokenGrantRequest(server, client, authentication, token, options);
  });
}

type Grant = (
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  options: oauth.TokenEndpointRequestOptions,
) => Promise<void>;

async function ask(app: Deps, registration: Registration, grant: Grant): Promise<TokenAnswer> {
  const { provider, clientId } = registration;
  let seen: OutsideAnswer | undefined;
  const server = {
    issuer: provider.issuer ?? new URL(provider.endpoints.token).origin,
    token_endpoint: provider.endpoints.token,
  };
  const options = {
    // The configuration has already refused http anywhere but on loopback.
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: async (
      url: string,
      request: oauth.CustomFetchOptions<"POST", URLSearchParams>,
    ) => {
      seen = await app.outbound(url, { ...request, body: request.body.toString() });
      return new Response(null);
    },
    ...(provider.tokenParameters === undefined
      ? {}
      : { additionalParameters: provider.tokenParameters }),
  };
  try {
    await grant(server, { client_id: clientId }, options);
  } catch (error) {
    const code = error instanceof OutsideTrouble ? error.reason : "answer_refused";
    return { refusal: { ...noAnswer, code } };
  }
  if (seen === undefined) return { refusal: { ...noAnswer, code: "answer_refused" } };
  const fields = fieldsOf(seen);
  return hasTokens(seen, fields)
    ? { tokens: tokensIn(provider, fields) }
    : { refusal: refusalOf(provider, seen, app.now()) };
}

const noAnswer = {
  means: "broken",
  status: undefined,
  retryAfterSeconds: undefined,
  isAboutRequest: false,
} as const;

/** How a provider wants to be told who we are. */
export function authenticationOf(registration: Registration): oauth.ClientAuth {
  const { clientSecret, provider } = registration;
  if (clientSecret === undefined || provider.clientAuthentication === "none") return oauth.None();
  return provider.clientAuthentication === "body"
    ? oauth.ClientSecretPost(clientSecret.reveal())
    : (_, { client_id: id }, __, headers) =>
        headers.set("authorization", basicCredentials(id, clientSecret.reveal()));
}

/**
 * HTTP Basic with a client's id and secret (RFC 6749 section 2.3.1). Only what would be read differently when it is
 * form-decoded is encoded, and the id's colon: so servers that decode read it, and servers that compare the plain
 * text as well.
 */
export function basicCredentials(id: string, secret: string): string {
  const [name, password] = [formEncoded(id).replaceAll(":", "%3A"), formEncoded(secret)];
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}

function formEncoded(text: string): string {
  return text.toWellFormed().replace(/[^!-~]|[%&+]/gu, (each) => encodeURIComponent(each));
}
