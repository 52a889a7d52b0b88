import { fingerprint } from "#src/crypto/secret.ts";
import type { Scope } from "../scopes.ts";

export const grantTypes = [
  "authorization_code",
  "refresh_token",
  "client_credentials",
  "urn:ietf:params:oauth:grant-type:device_code",
] as const;
export type GrantType = (typeof grantTypes)[number];

/** `secret` is sent with Basic or in the body, as the client likes. */
export type AuthMethod = "none" | "secret" | "private_key_jwt";

/** An OAuth client of ours: an agent, as the protocol sees it. */
export type Client = {
  readonly clientId: string;
  readonly kind: "document" | "dynamic" | "operator";
  readonly name: string;
  readonly redirectUris: readonly string[];
  readonly grantTypes: readonly GrantType[];
  readonly authMethods: readonly AuthMethod[];
  readonly secretFingerprint: Uint8Array | undefined;
  readonly jwks: Readonly<Record<string, unknown>> | undefined;
  readonly jwksUri: string | undefined;
  /** The most it can get, and what it gets when it asks for nothing. */
  readonly scopes: readonly Scope[];
  /** Undefined: every upstream. */
  readonly upstreams: readonly string[] | undefined;
  /** The row of a registered client. */
  readonly agentId: string | undefined;
  /** The account it acts on by itself, and that account's provider. */
  readonly account: { readonly id: string; readonly provider: string } | undefined;
  readonly agentType: string | undefined;
  readonly agentVersion: string | undefined;
  /** Changes with everything that a person's consent rests on. */
  readonly fingerprint: Uint8Array;
};

export function fingerprintOf(said: {
  readonly name: string;
  readonly redirectUris: readonly string[];
  readonly authMethods: readonly AuthMethod[];
  readonly jwks?: unknown;
  readonly jwksUri?: string | null | undefined;
}): Uint8Array {
  const { name, redirectUris, authMethods, jwks = null, jwksUri = null } = said;
  return fingerprint(JSON.stringify([name, redirectUris, authMethods, jwks, jwksUri]));
}

const mostCharacters = 80;

/** A client's name as a page may show it: one line, no control or direction characters, not endless. */
export function shownName(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const line = value
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ")
    .replace(/\s+/g, " ")
    .trim();
  return line === "" ? undefined : Array.from(line).slice(0, mostCharacters).join("");
}
