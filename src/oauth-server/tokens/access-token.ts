import { sign } from "node:crypto";
import { promisify } from "node:util";
import {
  type JWTPayload,
  type ProtectedHeaderParameters,
  decodeProtectedHeader,
  jwtVerify,
} from "jose";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { type Scope, readScopes } from "../scopes.ts";
import type { SigningKeys } from "./signing-keys.ts";
import { isCompactToken } from "#src/crypto/secret.ts";

export const accessTokenSeconds = 3600;

/** What an access token says (RFC 9068 section 2.2). */
type AccessClaims = {
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

const signAsync = promisify(sign);

type Deps = Pick<App, "publicUrl"> & { readonly signingKeys: SigningKeys };

/**
 * A JWT access token (RFC 9068), valid for an hour from `issuedAt`. Signed with the runtime's own crypto: it is
 * three parts joined by dots (RFC 7515 section 7.1), and a library costs a third of a token's whole time. On Bun
 * another thread signs: a signature takes longer than the rest of a token, and other requests would wait for it.
 */
export async function signAccessToken(app: Deps, claims: AccessClaims): Promise<string> {
  const { signer } = await app.signingKeys.ring();
  const { algorithm, header, key } = signer();
  const payload = Buffer.from(JSON.stringify(payloadOf(app, claims))).toString("base64url");
  const signed = Buffer.from(`${header}.${payload}`);
  const signature =
    algorithm === "EdDSA"
      ? await signAsync(null, signed, key)
      : await signAsync("sha256", signed, { key, dsaEncoding: "ieee-p1363" });
  return `${header}.${payload}.${signature.toString("base64url")}`;
}

function payloadOf(app: Deps, claims: AccessClaims): JWTPayload {
  const iat = Math.floor(claims.issuedAt.getTime() / 1000);
  return {
    iss: app.publicUrl,
    sub: claims.subject,
    aud: claims.audience,
    client_id: claims.clientId,
    iat,
    exp: iat + accessTokenSeconds,
    jti: claims.tokenId,
    scope: claims.scopes.join(" "),
    scopes: claims.scopes,
    basis: claims.basis,
    agent_type: claims.agentType,
    agent_version: claims.agentVersion,
  };
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
  app: Deps & Pick<App, "now">,
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
  if (token.length > mostCharacters || !isCompactToken(token)) return undefined;
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
