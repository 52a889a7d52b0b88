import {
  type JWTPayload,
  type ProtectedHeaderParameters,
  SignJWT,
  decodeProtectedHeader,
  jwtVerify,
} from "jose";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { type Scope, readScopes } from "../scopes.ts";
import type { SigningKeys } from "./signing-keys.ts";

export const accessTokenSeconds = 3600;

/** What an access token says (RFC 9068 section 2.2). */
export type AccessClaims = {
  readonly subject: string;
  readonly clientId: string;
  /** The MCP address that it is for. */
  readonly audience: string;
  readonly scopes: readonly Scope[];
  readonly tokenId: string;
  /** What it rests on: `grant:ID`, or `agent:ID` for an agent that acts for itself. */
  readonly basis: string;
  readonly agentType: string | undefined;
  readonly agentVersion: string | undefined;
  readonly issuedAt: Date;
};

type Signing = Pick<App, "publicUrl"> & { readonly signingKeys: SigningKeys };

/** A JWT access token (RFC 9068), valid for an hour from `issuedAt`. */
export async function signAccessToken(app: Signing, claims: AccessClaims): Promise<string> {
  const { sign } = await app.signingKeys.ring();
  const issuedAt = Math.floor(claims.issuedAt.getTime() / 1000);
  const { agentType, agentVersion } = claims;
  return await new SignJWT({
    client_id: claims.clientId,
    scope: claims.scopes.join(" "),
    scopes: claims.scopes,
    basis: claims.basis,
    ...(agentType === undefined ? {} : { agent_type: agentType }),
    ...(agentVersion === undefined ? {} : { agent_version: agentVersion }),
  })
    .setProtectedHeader({ alg: sign.algorithm, typ: "at+jwt", kid: sign.kid })
    .setIssuer(app.publicUrl)
    .setSubject(claims.subject)
    .setAudience(claims.audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + accessTokenSeconds)
    .setJti(claims.tokenId)
    .sign(sign.key);
}

/** What a proven token says. */
export type ProvenToken = Omit<AccessClaims, "issuedAt" | "agentType" | "agentVersion"> & {
  /** Milliseconds. */
  readonly expiresAt: number;
  readonly issuedAt: number;
};

/**
 * Undefined for everything that is not a living token of ours: signature, type, issuer and times are checked
 * (RFC 9068 section 4), the audience is the caller's to check. Failures: `database_unavailable`.
 */
export async function proveAccessToken(
  app: Signing & Pick<App, "now">,
  token: string,
): Promise<ProvenToken | undefined> {
  const kid = keyIdOf(token);
  if (kid === undefined) return undefined;
  const known = (await app.signingKeys.ringWith(kid)).verify.get(kid);
  if (known === undefined) return undefined;
  try {
    const { payload } = await jwtVerify(token, known.key, {
      algorithms: [known.algorithm],
      typ: "at+jwt",
      issuer: app.publicUrl,
      requiredClaims: ["sub", "aud", "exp", "iat", "jti", "client_id", "basis"],
      currentDate: app.now(),
    });
    return provenFrom(payload);
  } catch (error) {
    if (error instanceof Failure) throw error;
    return undefined;
  }
}

const mostCharacters = 4096;

function keyIdOf(token: string): string | undefined {
  if (token.length > mostCharacters) return undefined;
  try {
    const { kid, typ }: ProtectedHeaderParameters = decodeProtectedHeader(token);
    return typ === "at+jwt" && typeof kid === "string" ? kid : undefined;
  } catch {
    return undefined;
  }
}

function provenFrom(payload: JWTPayload): ProvenToken | undefined {
  const { sub, aud, exp, iat, jti, client_id: clientId, basis, scope } = payload;
  const texts = [sub, aud, jti, clientId, basis, scope];
  if (!texts.every((each) => typeof each === "string") || exp === undefined) return undefined;
  return {
    subject: String(sub),
    clientId: String(clientId),
    audience: String(aud),
    scopes: readScopes(String(scope)),
    tokenId: String(jti),
    basis: String(basis),
    expiresAt: exp * 1000,
    issuedAt: (iat ?? 0) * 1000,
  };
}
