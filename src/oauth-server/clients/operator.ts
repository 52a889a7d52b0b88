import type { Topic } from "#db/topics.ts";
import { randomBytes } from "node:crypto";
import { findConnected } from "#src/accounts/find-account.ts";
import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { type Secret, fingerprint, newToken } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { type Scope, readScopes, scopes } from "../scopes.ts";
import { type AuthMethod, type GrantType, shownName } from "./client.ts";
import { isUsableRedirect } from "./redirect-uris.ts";
import { type NewAgent, removeAgent, saveAgent } from "./store.ts";

/** What the operator says about an agent. */
export type OperatorAgent = {
  readonly name: string;
  /** A client id of one's own; undefined: a new one. */
  readonly clientId?: string | undefined;
  /** A secret of one's own; undefined: a new one. */
  readonly secret?: Secret | undefined;
  readonly redirectUris: readonly string[];
  /** Public: proves itself with PKCE alone; no client credentials then. */
  readonly isPublic: boolean;
  readonly jwks: Readonly<Record<string, unknown>> | undefined;
  readonly jwksUri: string | undefined;
  /** Separated by spaces; empty means all. */
  readonly scope: string;
  readonly agentType: string | undefined;
  readonly agentVersion: string | undefined;
  /** Empty means every one. */
  readonly upstreams: readonly string[];
  /** The account's id, or `provider:seller`. */
  readonly account: string | undefined;
};

export type AddedAgent = { readonly clientId: string; readonly secret: Secret | undefined };

/**
 * Adds an agent of the operator. Its secret is shown once and kept as a fingerprint.
 * Failures: `usage`, with what is wrong about the wish.
 */
export async function addAgent(
  app: Pick<App, "db" | "now" | "catalog">,
  wanted: OperatorAgent,
): Promise<AddedAgent> {
  const name = shownName(wanted.name);
  if (name === undefined) throw wrong("The name is empty");
  refuseUnusable(app, wanted);
  const account =
    wanted.account === undefined ? undefined : await findConnected(app, wanted.account);
  if (account !== undefined) refuseOtherProviders(app, wanted, account.provider);
  const authMethod = methodOf(wanted);
  const secret = secretFor(authMethod, wanted);
  const clientId = wanted.clientId ?? `agent_${randomBytes(16).toString("base64url")}`;
  const isSaved = await saveAgent(app.db, {
    id: newId(app.now()),
    clientId,
    kind: "operator",
    name,
    redirectUris: [...wanted.redirectUris],
    grantTypes: grantsOf(wanted),
    authMethod,
    secretFingerprint: secret === undefined ? null : fingerprint(secret.reveal()),
    scope: scopesIn(wanted.scope).join(" "),
    upstreams: wanted.upstreams.length === 0 ? null : [...wanted.upstreams],
    ...orNull(wanted),
    accountId: account?.id ?? null,
  });
  if (isSaved) return { clientId, secret };
  throw wrong(
    `There is a client ${clientId} already`,
    "smartdash agents remove --client … removes it",
  );
}

function secretFor(method: AuthMethod, { secret }: OperatorAgent): Secret | undefined {
  if (method === "secret") return secret ?? newToken("clientSecret");
  if (secret === undefined) return undefined;
  throw wrong("This agent proves itself without a secret: leave out --secret-file");
}

const peersPrefix = "node_";

/** Whether this client is another node. */
export function isPeersClient(clientId: string | undefined): boolean {
  return clientId?.startsWith(peersPrefix) === true;
}

/**
 * A node that is let in by its own proof, as an agent of the operator: no OAuth endpoint is open to it.
 * Failures: `usage`, with what is wrong about the wish.
 */
export async function agentForPeer(
  app: Pick<App, "db" | "now" | "catalog">,
  wanted: Pick<OperatorAgent, "name" | "scope" | "upstreams" | "account">,
): Promise<NewAgent> {
  const rest = { jwks: undefined, jwksUri: undefined, agentVersion: undefined };
  const agent = { ...wanted, ...rest, redirectUris: [], isPublic: false, agentType: "node" };
  refuseUnusable(app, agent);
  const account =
    wanted.account === undefined ? undefined : await findConnected(app, wanted.account);
  return {
    id: newId(app.now()),
    clientId: `${peersPrefix}${randomBytes(16).toString("base64url")}`,
    kind: "operator",
    name: wanted.name,
    redirectUris: [],
    grantTypes: [],
    authMethod: "none",
    secretFingerprint: null,
    scope: scopesIn(wanted.scope).join(" "),
    upstreams: wanted.upstreams.length === 0 ? null : [...wanted.upstreams],
    ...orNull(agent),
    accountId: account?.id ?? null,
  };
}

function orNull({ jwks, jwksUri, agentType, agentVersion }: OperatorAgent) {
  const keys = { jwks: jwks ?? null, jwksUri: jwksUri ?? null };
  return { ...keys, agentType: agentType ?? null, agentVersion: agentVersion ?? null };
}

function scopesIn(text: string): readonly Scope[] {
  if (text === "") return scopes;
  const known = readScopes(text);
  if (known.length !== text.split(" ").length) throw wrong(`The scopes are ${scopes.join(", ")}`);
  return known;
}

/** Removes a client, whoever registered it, and ends what it was granted; returns what ended. Failures: `not_found`. */
export async function removeClient(
  app: Pick<App, "db" | "now">,
  clientId: string,
): Promise<readonly Topic[]> {
  const ended = await removeAgent(app.db, clientId, app.now());
  if (ended.length > 0) return ended;
  throw new Failure("not_found", `Unknown client: ${clientId}`, {
    hint: "smartdash agents list --all shows them",
  });
}

function refuseUnusable(app: Pick<App, "catalog">, wanted: OperatorAgent): void {
  refuseIdentity(wanted);
  const unknown = wanted.upstreams.find((each) => !app.catalog.upstreams.has(each));
  if (unknown !== undefined) {
    const known = [...app.catalog.upstreams.keys()].join(", ");
    throw wrong(`Unknown upstream: ${unknown}`, `Known: ${known}`);
  }
  const unusable = wanted.redirectUris.find((each) => !isUsableRedirect(each));
  if (unusable !== undefined)
    throw wrong(`${unusable} cannot be a redirect URI: it takes https, or http on loopback`);
  if (wanted.jwksUri !== undefined && !wanted.jwksUri.startsWith("https://")) {
    throw wrong("The address of the key set must be https");
  }
}

/** Who acts on one account can use the upstreams of its provider; with a redirect URI a person may bring another account. */
function refuseOtherProviders(
  { catalog }: Pick<App, "catalog">,
  { upstreams, redirectUris }: OperatorAgent,
  provider: string,
): void {
  if (redirectUris.length > 0) return;
  for (const name of upstreams) {
    const credential = catalog.upstreams.get(name)?.credential;
    if (credential?.kind !== "account" || credential.provider === provider) continue;
    throw wrong(
      `${name} needs an account at ${credential.provider}, and this one is at ${provider}`,
    );
  }
}

const [shortestSecret, longestSecret] = [16, 512];

/** An id that is nobody else's kind, and a secret that nobody guesses. */
function refuseIdentity({ clientId, secret }: OperatorAgent): void {
  if (clientId !== undefined && !/^[\w.~-]{1,128}$/.test(clientId)) {
    throw wrong("An id is made of letters, digits and . _ ~ -, 128 at most");
  }
  if (clientId?.startsWith(peersPrefix) === true) {
    throw wrong(`Ids that begin with ${peersPrefix} are those of nodes`);
  }
  if (secret === undefined) return;
  const { length } = secret.reveal();
  if (
    length < shortestSecret ||
    length > longestSecret ||
    !/^[\x21-\x7e]+$/.test(secret.reveal())
  ) {
    throw wrong(
      `A secret has ${shortestSecret} to ${longestSecret} visible characters, without blanks`,
      "openssl rand -base64 32 makes one",
    );
  }
}

function methodOf({ isPublic, jwks, jwksUri, account }: OperatorAgent): AuthMethod {
  const hasKeys = jwks !== undefined || jwksUri !== undefined;
  if (isPublic && hasKeys) throw wrong("A public agent has no keys");
  if (isPublic && account !== undefined) {
    throw wrong("A public agent cannot act on an account by itself: leave out either of them");
  }
  if (jwks !== undefined && jwksUri !== undefined) throw wrong("Either a key set or its address");
  if (isPublic) return "none";
  return hasKeys ? "private_key_jwt" : "secret";
}

function grantsOf({ isPublic, redirectUris }: OperatorAgent): GrantType[] {
  return [
    ...(redirectUris.length === 0 ? [] : (["authorization_code"] as const)),
    "refresh_token",
    ...(isPublic ? [] : (["client_credentials"] as const)),
    "urn:ietf:params:oauth:grant-type:device_code",
  ];
}

function wrong(message: string, hint?: string): Failure {
  return new Failure("usage", message, hint === undefined ? {} : { hint });
}
