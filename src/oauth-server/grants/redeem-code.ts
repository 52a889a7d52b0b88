import { createHash } from "node:crypto";
import { fingerprint, isSame } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import type { Client } from "../clients/client.ts";
import { expectField } from "../fields.ts";
import { type TokenAnswer, firstRefreshToken, tokensOfGrant } from "../tokens/issue.ts";
import { endGrant } from "./end.ts";
import { type Grant, codeWithGrant, redeemCode } from "./store.ts";
import { checkResource } from "./request-checks.ts";
import type { GrantDeps, TokenRequest } from "./deps.ts";

/**
 * `authorization_code` (RFC 6749 section 4.1.3, RFC 7636 section 4.5). A code that comes a second time ends
 * everything it has brought. Failures: `invalid_grant`, `invalid_target`, `invalid_request`.
 */
export async function redeemAuthorizationCode(
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
