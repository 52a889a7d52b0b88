import * as oauth from "oauth4webapi";
import type { App } from "#src/app.ts";
import { type AnswerMeaning, standardErrors } from "#src/catalog/provider.ts";
import { isObject } from "#src/config/read.ts";
import { Secret } from "#src/crypto/secret.ts";
import { type OutsideAnswer, OutsideTrouble } from "#src/http/outbound.ts";
import type { Registration } from "./registration.ts";

/** What a token endpoint handed out. */
export type Tokens = {
  readonly access: Secret;
  readonly refresh: Secret | undefined;
  readonly accessSeconds: number;
  readonly refreshSeconds: number | undefined;
  readonly scope: string | undefined;
  /** The whole answer, for the identity rule. Holds secrets. */
  readonly fields: Readonly<Record<string, unknown>>;
};

/** Why a token endpoint handed out nothing. `code` is the provider's own word, safe to show. */
export type Refusal = {
  readonly means: AnswerMeaning;
  readonly code: string;
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;
};

export type TokenAnswer = { readonly tokens: Tokens } | { readonly refusal: Refusal };

type Asking = Pick<App, "outbound">;

/** Authorization code for tokens (RFC 6749 section 4.1.3). `answer` is the query of the callback. */
export function exchangeCode(
  app: Asking,
  registration: Registration,
  answer: { readonly query: URLSearchParams; readonly state: string; readonly verifier: Secret },
): Promise<TokenAnswer> {
  return ask(app, registration, async (server, client, options) => {
    const query = new URLSearchParams(answer.query);
    if (registration.provider.issuer === undefined) query.delete("iss");
    const proven = oauth.validateAuthResponse(server, client, query, answer.state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      authenticationOf(registration),
      proven,
      registration.redirectUri,
      registration.usesPkce ? answer.verifier.reveal() : oauth.nopkce,
      options,
    );
    return oauth.processAuthorizationCodeResponse(server, client, response);
  });
}

/** Refresh token for tokens (RFC 6749 section 6). Asks exactly once. */
export function refreshTokens(
  app: Asking,
  registration: Registration,
  refreshToken: Secret,
): Promise<TokenAnswer> {
  return ask(app, registration, async (server, client, options) => {
    const authentication = authenticationOf(registration);
    const token = refreshToken.reveal();
    const response = await oauth.refreshTokenGrantRequest(
      server,
      client,
      authentication,
      token,
      options,
    );
    return oauth.processRefreshTokenResponse(server, client, response);
  });
}

type Grant = (
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  options: oauth.TokenEndpointRequestOptions,
) => Promise<oauth.TokenEndpointResponse>;

async function ask(app: Asking, registration: Registration, grant: Grant): Promise<TokenAnswer> {
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
      return tidied(seen);
    },
    ...(provider.tokenParameters === undefined
      ? {}
      : { additionalParameters: provider.tokenParameters }),
  };
  try {
    return {
      tokens: readTokens(registration, await grant(server, { client_id: clientId }, options)),
    };
  } catch (error) {
    return { refusal: refusalOf(registration, seen, error) };
  }
}

/**
 * An answer with an access token has cost the refresh token that was sent for it: nothing that is wrong with
 * the fields around it may make the library refuse it. (Airtable documents `token_type: "Bearer "`.)
 */
function tidied(answer: OutsideAnswer): Response {
  const body = jsonOf(answer.text);
  const isSuccess = answer.status >= 200 && answer.status < 300;
  if (!isSuccess || typeof body?.["access_token"] !== "string") {
    return new Response(answer.text, { status: answer.status, headers: answer.headers });
  }
  const { id_token: _, expires_in: lifetime, ...rest } = body;
  const sensible = Object.entries({ ...rest, expires_in: secondsIn(lifetime) }).filter(
    ([name, value]) => !mustBeText.has(name) || (typeof value === "string" && value !== ""),
  );
  return Response.json({ ...Object.fromEntries(sensible), token_type: "bearer" });
}

const mustBeText = new Set(["scope", "refresh_token"]);

/** A number, also one that is written as a text; undefined when it is neither. */
function secondsIn(lifetime: unknown): number | undefined {
  const seconds = typeof lifetime === "string" ? Number.parseFloat(lifetime) : lifetime;
  const isSensible = typeof seconds === "number" && Number.isFinite(seconds) && seconds >= 0;
  return isSensible ? seconds : undefined;
}

function readTokens(registration: Registration, answer: oauth.TokenEndpointResponse): Tokens {
  const { refresh } = registration.provider;
  const stated = refresh.expiresInField === undefined ? undefined : answer[refresh.expiresInField];
  const days = refresh.refreshTokenDays;
  const assumed = days === undefined ? undefined : days * 86_400;
  return {
    access: new Secret(answer.access_token),
    refresh: answer.refresh_token === undefined ? undefined : new Secret(answer.refresh_token),
    accessSeconds: answer.expires_in ?? refresh.defaultAccessSeconds,
    refreshSeconds: typeof stated === "number" ? stated : assumed,
    scope: answer.scope?.slice(0, 2000).replaceAll("\0", "").toWellFormed(),
    fields: answer,
  };
}

function refusalOf(
  registration: Registration,
  seen: OutsideAnswer | undefined,
  error: unknown,
): Refusal {
  if (seen === undefined) {
    const code = error instanceof OutsideTrouble ? error.reason : "answer_refused";
    return { means: "broken", code, status: undefined, retryAfterSeconds: undefined };
  }
  const { status, headers, text } = seen;
  const code = jsonOf(text)?.["error"];
  const known = typeof code === "string" && /^[\w.-]{1,60}$/.test(code) ? code : undefined;
  const rule = [...registration.provider.errors, ...standardErrors].find(
    (each) =>
      (each.status === undefined || each.status === status) &&
      (each.code === undefined || each.code === known) &&
      (each.text === undefined || text.includes(each.text)),
  );
  return {
    means: meaningOf(status, rule?.means),
    code: known ?? `http_${status}`,
    status,
    retryAfterSeconds: readRetryAfter(headers.get("retry-after")),
  };
}

/** Only a client error is a verdict (RFC 6749 section 5.2): a server in trouble may say anything. */
function meaningOf(status: number, means: AnswerMeaning = "broken"): AnswerMeaning {
  const isVerdict = means === "dead" || means === "application_refused";
  const isClientError = status >= 400 && status < 500;
  return status < 400 || (isVerdict && !isClientError) ? "broken" : means;
}

/** Seconds only; a date is treated as absent, and an hour is the most we wait on somebody's word. */
function readRetryAfter(value: string | null): number | undefined {
  return value !== null && /^\d{1,6}$/.test(value) ? Math.min(Number(value), 3600) : undefined;
}

function jsonOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** How a provider wants to be told who we are. */
export function authenticationOf(registration: Registration): oauth.ClientAuth {
  const { clientSecret, provider } = registration;
  if (clientSecret === undefined || provider.clientAuthentication === "none") return oauth.None();
  return provider.clientAuthentication === "body"
    ? oauth.ClientSecretPost(clientSecret.reveal())
    : oauth.ClientSecretBasic(clientSecret.reveal());
}
