import { randomBytes } from "node:crypto";
import type { App } from "#src/app.ts";
import { isObject } from "#src/json.ts";
import { newId } from "#src/crypto/ids.ts";
import { type Secret, fingerprint, newToken } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { readScopes, scopes } from "../scopes.ts";
import { type AuthMethod, type GrantType, grantTypes, shownName } from "./client.ts";
import { isUsableRedirect, redirectKind } from "./redirect-uris.ts";
import { type NewAgent, forgetOldestUnused, saveAgent, unusedAgents } from "./store.ts";

const mostRedirectUris = 20;
const mostUnused = 10_000;

/** What a client registered itself as, in the words of RFC 7591 section 3.2.1. */
type Registered = Readonly<Record<string, unknown>>;

/**
 * Dynamic client registration (RFC 7591). What we do not know is passed over; redirect URIs that we cannot
 * use are left out as long as others remain.
 * Failures: `invalid_client_metadata`, `invalid_redirect_uri`, `busy` beyond 10,000 clients that nobody used.
 */
export async function registerClient(
  app: Pick<App, "db" | "now" | "log">,
  said: Readonly<Record<string, unknown>>,
): Promise<Registered> {
  const metadata = readMetadata(said);
  await makeRoom(app);
  const now = app.now();
  const secret = metadata.authMethod === "secret" ? newToken("clientSecret") : undefined;
  const agent = agentFrom(metadata, { id: newId(now), secret });
  await saveAgent(app.db, agent);
  app.log.info("client_registered", { clientId: agent.clientId, name: agent.name });
  return {
    client_id: agent.clientId,
    client_id_issued_at: Math.floor(now.getTime() / 1000),
    ...(secret === undefined
      ? {}
      : { client_secret: secret.reveal(), client_secret_expires_at: 0 }),
    client_name: agent.name,
    redirect_uris: agent.redirectUris,
    grant_types: agent.grantTypes,
    response_types: ["code"],
    token_endpoint_auth_method: metadata.method,
    scope: agent.scope,
    ...(metadata.jwksUri === undefined ? {} : { jwks_uri: metadata.jwksUri }),
    ...(metadata.jwks === undefined ? {} : { jwks: metadata.jwks }),
  };
}

/** A flood must not keep others out: the oldest that nobody used make room. Failures: `busy` when all are young. */
async function makeRoom(app: Pick<App, "db">): Promise<void> {
  if ((await unusedAgents(app.db)) < mostUnused) return;
  await forgetOldestUnused(app.db, mostUnused / 10);
  if ((await unusedAgents(app.db)) < mostUnused) return;
  throw new Failure("busy", undefined, { retryAfterSeconds: 3600 });
}

type Metadata = {
  readonly name: string;
  readonly redirectUris: readonly string[];
  readonly grantTypes: readonly GrantType[];
  readonly method: string;
  readonly authMethod: AuthMethod;
  readonly jwks: Readonly<Record<string, unknown>> | undefined;
  readonly jwksUri: string | undefined;
  readonly scope: string;
};

function agentFrom(metadata: Metadata, made: { id: string; secret: Secret | undefined }): NewAgent {
  return {
    id: made.id,
    clientId: `agent_${randomBytes(16).toString("base64url")}`,
    kind: "dynamic",
    name: metadata.name,
    redirectUris: [...metadata.redirectUris],
    grantTypes: [...metadata.grantTypes],
    authMethod: metadata.authMethod,
    secretFingerprint: made.secret === undefined ? null : fingerprint(made.secret.reveal()),
    jwks: metadata.jwks ?? null,
    jwksUri: metadata.jwksUri ?? null,
    scope: metadata.scope,
    agentType: null,
    agentVersion: null,
    upstreams: null,
    accountId: null,
  };
}

function readMetadata(said: Readonly<Record<string, unknown>>): Metadata {
  const wantedGrants = grantsIn(said["grant_types"]);
  const isCodeClient = wantedGrants.includes("authorization_code");
  const redirectUris = isCodeClient ? redirectUrisIn(said["redirect_uris"]) : [];
  for (const field of ["client_uri", "logo_uri", "policy_uri", "tos_uri"]) {
    const value = said[field];
    if (typeof value !== "string" || value === "") continue;
    if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
      throw new Failure("invalid_client_metadata", `${field} must be an http(s) URL`);
    }
  }
  const known = readScopes(textOf(said["scope"]));
  return {
    name: shownName(said["client_name"]) ?? "?",
    redirectUris,
    grantTypes: wantedGrants,
    scope: (known.length === 0 ? scopes : known).join(" "),
    ...authenticationIn(said),
  };
}

/** RFC 7591 section 2: without a word, a client is confidential and uses codes. */
function grantsIn(value: unknown): readonly GrantType[] {
  const isList = Array.isArray(value) && value.length > 0;
  const wanted: readonly unknown[] = isList ? value : ["authorization_code"];
  const found = grantTypes.filter((each) => each !== "client_credentials" && wanted.includes(each));
  if (found.some((each) => each !== "refresh_token")) return withRefresh(found);
  throw new Failure(
    "invalid_client_metadata",
    "grant_types must name authorization_code or device_code; client_credentials is for agents that the operator adds",
  );
}

/** Several clients forget to ask for what they then use. */
function withRefresh(found: readonly GrantType[]): readonly GrantType[] {
  return found.includes("refresh_token") ? found : [...found, "refresh_token"];
}

function redirectUrisIn(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > mostRedirectUris) {
    throw new Failure(
      "invalid_redirect_uri",
      `redirect_uris must be a list of 1 to ${mostRedirectUris} addresses`,
    );
  }
  const texts = value.filter((each) => typeof each === "string");
  const usable = texts.filter(isUsableRedirect);
  const isAttack = texts.some((uri) => redirectKind(uri) === "dangerous");
  if (isAttack || usable.length === 0 || texts.length !== value.length) {
    throw new Failure("invalid_redirect_uri");
  }
  return usable;
}

function authenticationIn(said: Readonly<Record<string, unknown>>) {
  const method = textOf(said["token_endpoint_auth_method"]) ?? "client_secret_basic";
  const jwks = isObject(said["jwks"]) ? said["jwks"] : undefined;
  const jwksUri = textOf(said["jwks_uri"]);
  switch (method) {
    case "none":
      return { method, authMethod: "none" as const, jwks: undefined, jwksUri: undefined };
    case "client_secret_basic":
    case "client_secret_post":
      return { method, authMethod: "secret" as const, jwks: undefined, jwksUri: undefined };
    case "private_key_jwt":
      checkKeys(jwks, jwksUri);
      return { method, authMethod: "private_key_jwt" as const, jwks, jwksUri };
    default:
      throw new Failure("invalid_client_metadata", "This token_endpoint_auth_method is not there");
  }
}

function checkKeys(jwks: unknown, jwksUri: string | undefined): void {
  if ((jwks === undefined) === (jwksUri === undefined)) {
    throw new Failure("invalid_client_metadata", "private_key_jwt needs either jwks or jwks_uri");
  }
  if (jwksUri !== undefined && !/^https:\/\/[\x21-\x7e]+$/.test(jwksUri)) {
    throw new Failure("invalid_client_metadata", "jwks_uri must be https");
  }
  // PostgreSQL keeps no NUL, not even in JSON.
  if (JSON.stringify(jwks ?? null).includes("\\u0000")) {
    throw new Failure("invalid_client_metadata", "The keys hold a NUL");
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
