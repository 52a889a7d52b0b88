import {
  type JSONWebKeySet,
  type JWTPayload,
  createLocalJWKSet,
  decodeJwt,
  errors,
  jwtVerify,
} from "jose";
import type { App } from "#src/app.ts";
import type { Cache } from "#src/cache.ts";
import { isObject } from "#src/json.ts";
import { fingerprint, isCompactToken } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import type { GuardedFetch } from "#src/http/guarded-fetch.ts";
import type { Client } from "./client.ts";
import { useAssertion } from "./store.ts";

export type AssertionChecks = Pick<App, "db" | "now" | "publicUrl" | "config"> & {
  readonly guardedFetch: GuardedFetch;
  /** Key sets by their address. */
  readonly clientKeys: Cache<JSONWebKeySet>;
  /** The addresses that a client may call us by in `aud`. */
  readonly tokenEndpoints: readonly string[];
};

/** How clients may sign, in the words of the metadata; RFC 9864 gives `EdDSA` with this curve a name of its own. */
export const assertionAlgorithms = ["RS256", "ES256", "EdDSA", "Ed25519"] as const;

const longestSeconds = 600;
const skewSeconds = 60;
const mostKeyBytes = 64 * 1024;
const mostAssertionCharacters = 8192;

/** Whom an assertion speaks of; nothing is proven yet. Failures: `invalid_client`. */
export function subjectOf(assertion: string): string {
  if (assertion.length > mostAssertionCharacters) throw refused("it is too long");
  if (!isCompactToken(assertion)) throw refused("it is no JWT in compact form without padding");
  try {
    const { sub } = decodeJwt(assertion);
    if (typeof sub === "string" && sub !== "") return sub;
  } catch {
    // Told below: it is not a JWT with a subject.
  }
  throw refused("it is not a JWT with a subject");
}

/**
 * `private_key_jwt` (RFC 7523 section 3): signed by a key of the client, made for us, short-lived, used once
 * on whichever replica. Failures: `invalid_client`.
 */
export async function checkAssertion(
  app: AssertionChecks,
  client: Client,
  given: { assertion: string; path: string },
): Promise<void> {
  const claims = await verified(app, client, given);
  const { jti, exp = 0, iat } = claims;
  const now = app.now().getTime() / 1000;
  if (typeof jti !== "string" || jti === "") throw refused("jti is missing");
  if (exp - now > longestSeconds + skewSeconds) throw refused("exp is too far away");
  if (iat !== undefined && iat > now + skewSeconds) throw refused("iat is in the future");
  const isFirst = await useAssertion(app.db, {
    fingerprint: fingerprint(JSON.stringify([client.clientId, jti])),
    expiresAt: new Date((exp + 2 * skewSeconds) * 1000),
  });
  if (!isFirst) throw refused("it was used before");
}

async function verified(
  app: AssertionChecks,
  client: Client,
  { assertion, path }: { assertion: string; path: string },
): Promise<JWTPayload> {
  // The address that was asked is one of ours, whatever it is called.
  const asked = `${app.publicUrl}${path}`;
  const check = async (keys: JSONWebKeySet) => {
    const { payload } = await jwtVerify(assertion, createLocalJWKSet(keys), {
      algorithms: [...assertionAlgorithms],
      issuer: client.clientId,
      subject: client.clientId,
      audience: [app.publicUrl, asked, ...app.tokenEndpoints],
      requiredClaims: ["exp", "jti"],
      clockTolerance: skewSeconds,
      currentDate: app.now(),
    });
    return payload;
  };
  try {
    return await check(await keysOf(app, client, "known"));
  } catch (error) {
    if (!(error instanceof errors.JWKSNoMatchingKey) || client.jwksUri === undefined)
      throw words(error);
  }
  // The client may have rotated its keys since we looked.
  return await keysOf(app, client, "new")
    .then(check)
    .catch((error: unknown) => {
      throw words(error);
    });
}

const askAgainMs = 30_000;

async function keysOf(
  app: AssertionChecks,
  client: Client,
  wanted: "known" | "new",
): Promise<JSONWebKeySet> {
  if (client.jwks !== undefined) return keySet(client.jwks);
  const { jwksUri, kind } = client;
  const mayFetch = kind !== "document" || app.config.clientDocuments === "fetch";
  if (jwksUri === undefined || !mayFetch) throw refused("the client has no keys here");
  // Strangers could make us fetch without end: a key set is asked for twice a minute at most.
  if (wanted === "new") {
    const moment = Math.floor(app.now().getTime() / askAgainMs);
    return await cached(app, `${moment} ${jwksUri}`, jwksUri);
  }
  return await cached(app, jwksUri, jwksUri);
}

async function cached(app: AssertionChecks, key: string, url: string): Promise<JSONWebKeySet> {
  const keys = await app.clientKeys.get(key, async () => {
    const { status, text } = await app.guardedFetch(url, mostKeyBytes);
    if (status !== 200) throw refused("its keys cannot be fetched");
    const found: unknown = JSON.parse(text);
    return keySet(isObject(found) ? found : {});
  });
  if (keys === undefined) throw refused("its keys cannot be fetched");
  app.clientKeys.put(url, keys);
  return keys;
}

function keySet(value: Readonly<Record<string, unknown>>): JSONWebKeySet {
  const { keys } = value;
  if (!Array.isArray(keys) || !keys.every(isObject)) throw refused("the client has no usable keys");
  // Two names for one algorithm: the key's own would rule the other one out. jose checks every key it uses.
  return { keys: keys.map(withoutCurveName) };
}

/** jose says what is wrong with a JWT; what the network said stays here. */
function words(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return refused(error instanceof errors.JOSEError ? error.message : "its keys cannot be fetched");
}

function refused(why: string): Failure {
  return new Failure("invalid_client", `The client assertion is refused: ${why}`);
}

function withoutCurveName({ alg, ...key }: Readonly<Record<string, unknown>>) {
  return key["kty"] === "OKP" || alg === undefined ? key : { ...key, alg };
}
