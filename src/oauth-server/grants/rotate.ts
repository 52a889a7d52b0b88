import { Secret, fingerprint, tagOf, tokenPrefixes } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { expectField } from "../fields.ts";
import { type Scope, readScopes } from "../scopes.ts";
import { type TokenAnswer, refreshExpiry, tokensOfGrant } from "../tokens/issue.ts";
import { endGrant } from "./consent.ts";
import { checkResource } from "./authorization-request.ts";
import { type Grant, isOver, refreshTokenWithGrant, rotateRefreshToken } from "./store.ts";
import type { GrantDeps, TokenRequest } from "./deps.ts";

const retryMs = 30_000;

/**
 * `refresh_token` (RFC 6749 section 6, OAuth 2.1 section 4.3.1). The successor is derived from the token, so
 * an answer that got lost on its way can be given again: the same pair within 30 seconds, and the same
 * successor until it is used for the first time. A token that comes after that ends the grant: it was copied.
 * Failures: `invalid_request`, `invalid_grant`, `invalid_scope`, `invalid_target`.
 */
export async function rotate(app: GrantDeps, { client, form }: TokenRequest): Promise<TokenAnswer> {
  const token = expectField(form, "refresh_token");
  const found = await refreshTokenWithGrant(app.db, fingerprint(token));
  if (found === undefined || found.grant.clientId !== client.clientId) throw refused();
  const { grant } = found;
  const now = app.now();
  if (isOver(grant, now) || found.token.expiresAt <= now) throw refused();
  checkResource(app, form, grant);
  const scopes = narrowed(form.get("scope"), grant);
  const ageMs = now.getTime() - (found.token.rotatedAt ?? now).getTime();
  if (ageMs > retryMs && found.isSuccessorUsed) throw await reused(app, grant);
  const { successor, rotatedAt } = await exchanged(app, { token, grant, now });
  const same = {
    tokenId: tagOf(app.bindingKey, `token id ${token} ${scopes.join(" ")}`).slice(0, 22),
    issuedAt: rotatedAt,
  };
  const made = { client, scopes, refresh: successor };
  return await tokensOfGrant(app, grant, ageMs > retryMs ? made : { ...made, ...same });
}

async function reused(app: GrantDeps, grant: Grant): Promise<Failure> {
  app.log.warn("refresh_token_reused", { grantId: grant.id });
  await endGrant(app, { id: grant.id }, "refresh_token_reused");
  return refused();
}

/** The one successor that a token has, and when it was first asked for. */
async function exchanged(
  app: GrantDeps,
  { token, grant, now }: { token: string; grant: Grant; now: Date },
): Promise<{ successor: Secret; rotatedAt: Date }> {
  const successor = new Secret(tokenPrefixes.refresh + tagOf(app.bindingKey, `successor ${token}`));
  const predecessor = fingerprint(token);
  const rotatedAt = await rotateRefreshToken(app.db, {
    fingerprint: predecessor,
    grantId: grant.id,
    successor: {
      fingerprint: fingerprint(successor.reveal()),
      predecessor,
      expiresAt: refreshExpiry(now),
    },
    now,
  });
  if (rotatedAt === undefined) throw refused();
  return { successor, rotatedAt };
}

/** A refresh may ask for less than was granted, never for more. */
function narrowed(asked: string | null, grant: Grant): readonly Scope[] {
  const granted = readScopes(grant.scope);
  const wanted = readScopes(asked ?? "");
  if (wanted.length === 0) return granted;
  if (wanted.every((scope) => granted.includes(scope))) return wanted;
  throw new Failure("invalid_scope", "A refresh cannot ask for more than was granted");
}

function refused(): Failure {
  return new Failure("invalid_grant", "The refresh token is not valid any more; authorize again");
}
