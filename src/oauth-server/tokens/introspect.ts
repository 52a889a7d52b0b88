import type { App } from "#src/app.ts";
import { fingerprint, tokenPrefixes } from "#src/crypto/secret.ts";
import { type ClientAuthDeps, confidentialClient } from "../clients/authenticate.ts";
import { type CallerDeps, callerOf } from "../caller.ts";
import { expectField } from "../fields.ts";
import { isOver, refreshTokenWithGrant } from "../grants/store.ts";
import { proveAccessToken } from "./access-token.ts";

type Deps = Pick<App, "publicUrl"> & ClientAuthDeps & CallerDeps;

const inactive = { active: false } as const;

/**
 * Introspection (RFC 7662) for clients that prove themselves; each learns of its own tokens alone.
 * Failures: `invalid_request`, those of `confidentialClient`.
 */
export async function introspect(
  app: Deps,
  request: Request,
  form: URLSearchParams,
): Promise<Readonly<Record<string, unknown>>> {
  const { clientId } = await confidentialClient(app, request, form);
  const token = expectField(form, "token");
  const found = token.startsWith(tokenPrefixes.refresh)
    ? await aboutRefreshToken(app, token)
    : await aboutAccessToken(app, token);
  return found?.["client_id"] === clientId
    ? { active: true, iss: app.publicUrl, ...found }
    : inactive;
}

async function aboutRefreshToken(app: Deps, token: string) {
  const found = await refreshTokenWithGrant(app.db, fingerprint(token));
  if (found === undefined || isOver(found.grant, app.now()) || found.isSuccessorUsed)
    return undefined;
  if (found.token.expiresAt <= app.now()) return undefined;
  return {
    client_id: found.grant.clientId,
    scope: found.grant.scope,
    sub: found.grant.personId,
    aud: found.grant.resource,
    exp: seconds(found.token.expiresAt.getTime()),
    iat: seconds(found.token.createdAt.getTime()),
  };
}

async function aboutAccessToken(app: Deps, token: string) {
  const proven = await proveAccessToken(app, token);
  if (proven === undefined || (await callerOf(app, token)) === undefined) return undefined;
  return {
    client_id: proven.clientId,
    token_type: "Bearer",
    scope: proven.scopes.join(" "),
    sub: proven.subject,
    aud: proven.audience,
    exp: seconds(proven.expiresAt),
    iat: seconds(proven.issuedAt),
    jti: proven.tokenId,
  };
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
