import { Failure } from "#src/failure.ts";
import { authenticatedClient, knownClient } from "../clients/authenticate.ts";
import { type GrantType, type Client, grantTypes } from "../clients/client.ts";
import {
  type TokenAnswer,
  firstRefreshToken,
  tokensOfGrant,
  newTokenId,
  tokenAnswer,
} from "../tokens/issue.ts";
import { expectField } from "../fields.ts";
import type { GrantDeps, TokenRequest } from "./deps.ts";
import { redeemDeviceCode } from "../devices/device.ts";
import { rotate } from "./rotate.ts";
import { createHash } from "node:crypto";
import { fingerprint, isSame } from "#src/crypto/secret.ts";
import { endGrant } from "./consent.ts";
import { type Grant, codeWithGrant, redeemCode } from "./store.ts";
import { checkResource, scopesFor, wantedResource } from "./authorization-request.ts";

type Handler = (app: GrantDeps, asked: TokenRequest) => Promise<TokenAnswer>;

/** What there is a handler for is what the metadata lists. */
export const grantHandlers: Readonly<Record<GrantType, Handler>> = {
  authorization_code: redeemAuthorizationCode,
  refresh_token: rotate,
  client_credentials: clientCredentials,
  "urn:ietf:params:oauth:grant-type:device_code": redeemDeviceCode,
};

/**
 * The token endpoint (RFC 6749 section 3.2): who asks, with which grant, what for.
 * Failures: `invalid_request`, `invalid_client`, `unsupported_grant_type`, `unauthorized_client` and those of
 * the grants.
 */
export async function answerTokenRequest(
  app: GrantDeps,
  request: Request,
  form: URLSearchParams,
): Promise<TokenAnswer> {
  const wanted = expectField(form, "grant_type");
  const grantType = grantTypes.find((each) => each === wanted);
  if (grantType === undefined) throw new Failure("unsupported_grant_type");
  const client = await authenticatedClient(app, request, form);
  if (!client.grantTypes.includes(grantType)) throw new Failure("unauthorized_client");
  return await grantHandlers[grantType](app, { client, form });
}

/**
 * The same for an agent of the operator that is known here: nothing is read or fetched for it that others could have
 * to wait for. Undefined for everybody else.
 */
export function answerKnownAgent(
  app: GrantDeps,
  request: Request,
  form: URLSearchParams,
): Promise<TokenAnswer> | undefined {
  const type = "client_credentials";
  const client = form.get("grant_type") === type ? knownClient(app, request, form) : undefined;
  return client?.grantTypes.includes(type) === true
    ? clientCredentials(app, { client, form })
    : undefined;
}

/**
 * `authorization_code` (RFC 6749 section 4.1.3, RFC 7636 section 4.5). A code that comes a second time ends
 * everything it has brought. Failures: `invalid_grant`, `invalid_target`, `invalid_request`.
 */
async function redeemAuthorizationCode(
  app: GrantDeps,
  { client, form }: TokenRequest,
): Promise<TokenAnswer> {
  const key = fingerprint(expectField(form, "code"));
  const verifier = expectField(form, "code_verifier");
  const now = app.now();
  const { code, grant } = await livingCode(app, key, { client, now });
  checkRedirect(form.get("redirect_uri"), code.redirectUri);
  checkVerifier(verifier, code.challenge);
  checkResource(app, form, grant);
  const refresh = firstRefreshToken(client, now);
  const use = { code: key, grantId: grant.id, refresh: refresh?.row, now };
  if (!(await redeemCode(app.db, use))) throw await replayed(app, grant);
  return await tokensOfGrant(app, grant, { client, refresh: refresh?.token });
}

/** Failures: `invalid_grant`. */
async function livingCode(app: GrantDeps, key: Uint8Array, by: { client: Client; now: Date }) {
  const found = await codeWithGrant(app.db, key);
  if (found === undefined || found.grant.clientId !== by.client.clientId) throw refused("code");
  const { code, grant } = found;
  if (code.usedAt !== null) throw await replayed(app, grant);
  if (code.expiresAt <= by.now || grant.endedAt !== null) throw refused("code");
  return found;
}

/** Somebody has a copy of the code: nobody can tell who came first. */
async function replayed(app: GrantDeps, grant: Grant): Promise<Failure> {
  await endGrant(app, { id: grant.id }, "code_replayed");
  return refused("code");
}

/** OAuth 2.1 no longer sends it with the code; where it is sent it has to be the same. */
function checkRedirect(sent: string | null, asked: string): void {
  if (sent !== null && sent !== asked) throw refused("redirect_uri");
}

function checkVerifier(verifier: string, challenge: string): void {
  const made = createHash("sha256").update(verifier).digest("base64url");
  if (!/^[\w.~-]{43,128}$/.test(verifier) || !isSame(made, challenge))
    throw refused("code_verifier");
}

function refused(what: string): Failure {
  return new Failure("invalid_grant", `The ${what} is not valid here`);
}

/**
 * `client_credentials` (RFC 6749 section 4.4): an agent that the operator added acts for itself, on its own
 * account. Failures: `unauthorized_client`, `invalid_target`, `invalid_scope`.
 */
export async function clientCredentials(
  app: GrantDeps,
  { client, form }: TokenRequest,
): Promise<TokenAnswer> {
  const { agentId } = client;
  if (client.kind !== "operator" || agentId === undefined) throw new Failure("unauthorized_client");
  const { url, upstream } = wantedResource(app, client, form.getAll("resource"));
  const { credential } = upstream;
  if (credential.kind === "account" && client.account?.provider !== credential.provider) {
    throw new Failure(
      "invalid_target",
      `${upstream.name} needs an account at ${credential.provider}, and this agent has ${client.account === undefined ? "none" : `one at ${client.account.provider}`}`,
    );
  }
  return await tokenAnswer(app, client, {
    subject: client.clientId,
    audience: url,
    scopes: scopesFor(client, form.get("scope")),
    basis: `agent:${agentId}`,
    accountId: client.account?.id,
    tokenId: newTokenId(),
    issuedAt: app.now(),
  });
}
