import { millisecondsOf } from "#src/clock.ts";
import type { App } from "#src/app.ts";
import type { ClientDocuments as Policy } from "#src/config/load.ts";
import { isObject } from "#src/json.ts";
import { createCache } from "#src/cache.ts";
import { Failure } from "#src/failure.ts";
import { type GuardedAnswer, type GuardedFetch, FetchRefused } from "#src/http/guarded-fetch.ts";
import { scopes } from "../scopes.ts";
import { type AuthMethod, type Client, fingerprintOf, grantTypes, shownName } from "./client.ts";
import { isUsableRedirect } from "./redirect-uris.ts";
import { isCanonicalUrl } from "#src/http/public-url.ts";

/** The client whose id is the address of its metadata document. Failures: `client_unknown`. */
export type ClientDocuments = {
  (clientId: string): Promise<Client>;
  /** Whether it can be told without fetching anything. */
  isKnown(clientId: string): boolean;
};

const mostBytes = 5 * 1024;
const mostDocuments = 1000;
const [shortestMs, usualMs, longestMs] = [60_000, 3_600_000, 86_400_000];

type Deps = Pick<App, "now" | "log"> & {
  readonly guardedFetch: GuardedFetch;
  /** Hears of a well-known client that has changed its document. */
  readonly noteDrift?: (clientId: string) => void;
};
type Known = { readonly client: Client; readonly fetchedAt: number; readonly freshUntil: number };

/**
 * Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document-01). Failures are never kept;
 * a document that was good serves for a day while its address cannot be fetched, a bundled one always.
 */
export function createClientDocuments(app: Deps, policy: Policy): ClientDocuments {
  const now = millisecondsOf(app);
  const cache = createCache<Known>({ freshMs: shortestMs, staleMs: 0, size: mostDocuments, now });
  const find = async (clientId: string) => {
    const pinned = policy === "off" ? undefined : bundled(clientId);
    const load = () => current(app, clientId, { last: cache.last(clientId), pinned });
    const found = policy === "fetch" ? (await cache.get(clientId, load))?.client : pinned;
    if (found === undefined) throw new Failure("client_unknown");
    return found;
  };
  const isKnown = (clientId: string) =>
    !isDocumentId(clientId) ||
    policy !== "fetch" ||
    knownDocuments.has(clientId) ||
    cache.last(clientId) !== undefined;
  return Object.assign(find, { isKnown });
}

/** What is known and fresh by its own headers, else what its address says now. */
async function current(
  app: Deps,
  clientId: string,
  known: { last: Known | undefined; pinned: Client | undefined },
): Promise<Known> {
  const { last, pinned } = known;
  const now = app.now().getTime();
  if (last !== undefined && last.freshUntil > now) return last;
  try {
    return await fetchDocument(app, clientId, pinned);
  } catch (error) {
    const reason = error instanceof FetchRefused ? error.reason : "broken";
    app.log.warn("client_document_refused", { clientId: clientId.slice(0, 200), reason });
    if (last !== undefined && now - last.fetchedAt < longestMs) return last;
    if (pinned !== undefined) return { client: pinned, fetchedAt: 0, freshUntil: 0 };
    // Why is told to nobody. It may work in a moment: an established client must not give up its registration.
    throw new Failure("client_unknown", undefined, { retryAfterSeconds: 5 });
  }
}

/** Checked on the text, before anything reads it as a URL (section 3 of the draft). */
export function isDocumentId(clientId: string): boolean {
  return /^https?:\/\//i.test(clientId);
}

function isUsableId(clientId: string): boolean {
  if (clientId.length > 500 || !/^https?:\/\/[\x21-\x7e]+$/.test(clientId)) return false;
  if (/[\\#@]/.test(clientId) || /\/(\.|%2e){1,2}(\/|\?|$)/i.test(clientId)) return false;
  return isCanonicalUrl(clientId) && /^https?:\/\/[^/]+\/[^?]/.test(clientId);
}

function bundled(clientId: string): Client | undefined {
  const document = knownDocuments.get(clientId);
  return document === undefined ? undefined : readDocument(clientId, document);
}

async function fetchDocument(
  app: Deps,
  clientId: string,
  pinned: Client | undefined,
): Promise<Known> {
  if (!isUsableId(clientId)) throw new FetchRefused("not a client id");
  const answer = await app.guardedFetch(clientId, mostBytes);
  const client = clientIn(clientId, answer);
  if (pinned !== undefined && isDrifted(pinned, client)) {
    app.log.warn("client_document_drifted", { clientId });
    app.noteDrift?.(clientId);
  }
  const fetchedAt = app.now().getTime();
  const freshUntil = fetchedAt + freshFor(answer.headers.get("cache-control"));
  return { client, fetchedAt, freshUntil };
}

/** Our copy is out of date: the client could not be used while its document cannot be fetched. */
function isDrifted(known: Client, fetched: Client): boolean {
  const facts = ({ redirectUris, authMethods, jwksUri }: Client) =>
    JSON.stringify([redirectUris.toSorted(), authMethods.toSorted(), jwksUri]);
  return facts(known) !== facts(fetched);
}

function clientIn(clientId: string, answer: GuardedAnswer): Client {
  if (answer.status !== 200) throw new FetchRefused(`status ${answer.status}`);
  const type = answer.headers.get("content-type") ?? "";
  if (!/^application\/([\w.+-]+\+)?json\b/i.test(type)) throw new FetchRefused("not JSON");
  if ((answer.headers.get("content-encoding") ?? "identity") !== "identity") {
    throw new FetchRefused("compressed");
  }
  let document: unknown;
  try {
    document = JSON.parse(answer.text);
  } catch {
    throw new FetchRefused("not JSON");
  }
  const client = isObject(document) ? readDocument(clientId, document) : undefined;
  if (client === undefined) throw new FetchRefused("not a client's document");
  return client;
}

/** Undefined when it is not a usable document of this very client. */
function readDocument(
  clientId: string,
  document: Readonly<Record<string, unknown>>,
): Client | undefined {
  const name = shownName(document["client_name"]);
  const given = textsOf(document["redirect_uris"]);
  const redirectUris = given.filter(isUsableRedirect);
  const authMethods = methodsOf(document);
  const hasSecret = "client_secret" in document || "client_secret_expires_at" in document;
  if (document["client_id"] !== clientId || name === undefined || hasSecret) return undefined;
  if (redirectUris.length === 0 || authMethods.length === 0) return undefined;
  const jwks = isObject(document["jwks"]) ? document["jwks"] : undefined;
  const jwksUri = typeof document["jwks_uri"] === "string" ? document["jwks_uri"] : undefined;
  const wanted = textsOf(document["grant_types"]);
  return {
    clientId,
    kind: "document",
    name,
    redirectUris,
    // A client's own id proves nothing, so it gets no grant of its own.
    grantTypes: grantTypes.filter(
      (each) =>
        each !== "client_credentials" &&
        (wanted.includes(each) || each === "authorization_code" || each === "refresh_token"),
    ),
    authMethods,
    secretFingerprint: undefined,
    jwks,
    jwksUri,
    scopes,
    upstreams: undefined,
    agentId: undefined,
    account: undefined,
    agentType: undefined,
    agentVersion: undefined,
    fingerprint: fingerprintOf({ name, redirectUris, authMethods, jwks, jwksUri }),
  };
}

/** The method it declares, or any it lists: ChatGPT declares `private_key_jwt` and lists `none` too. */
function methodsOf(document: Readonly<Record<string, unknown>>): readonly AuthMethod[] {
  const single = document["token_endpoint_auth_method"];
  const listed = textsOf(document["token_endpoint_auth_methods_supported"]);
  const said = typeof single === "string" ? [single, ...listed] : listed;
  if (said.length === 0) return ["none"];
  return (["none", "private_key_jwt"] as const).filter((method) => said.includes(method));
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/** RFC 9111, between a minute and a day. */
function freshFor(cacheControl: string | undefined): number {
  if (cacheControl === undefined) return usualMs;
  if (/\bno-(store|cache)\b/i.test(cacheControl)) return shortestMs;
  const seconds = /\bmax-age=(\d{1,9})/i.exec(cacheControl)?.[1];
  const wanted = seconds === undefined ? usualMs : Number(seconds) * 1000;
  return Math.min(Math.max(wanted, shortestMs), longestMs);
}

/**
 * Metadata documents of well-known clients (as served in September 2026), for when theirs cannot be fetched:
 * some are behind bot protection that refuses servers. Found by their exact URL, never by domain.
 */
const knownDocuments: ReadonlyMap<string, Readonly<Record<string, unknown>>> = new Map(
  [
    {
      client_id: "https://claude.ai/oauth/mcp-oauth-client-metadata",
      client_name: "Claude",
      redirect_uris: ["https://claude.ai/api/mcp/auth_callback"],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    {
      client_id: "https://claude.ai/oauth/claude-code-client-metadata",
      client_name: "Claude Code",
      redirect_uris: ["http://localhost/callback", "http://127.0.0.1/callback"],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    {
      client_id: "https://chatgpt.com/oauth/client.json",
      client_name: "ChatGPT",
      redirect_uris: ["https://chatgpt.com/connector_platform_oauth_redirect"],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_methods_supported: ["none", "private_key_jwt"],
      jwks_uri: "https://chatgpt.com/oauth/jwks.json",
    },
    {
      client_id: "https://chatgpt.com/oauth/codex/client.json",
      client_name: "Codex",
      redirect_uris: ["http://127.0.0.1/callback", "http://localhost/callback"],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    {
      client_id: "https://vscode.dev/oauth/client-metadata.json",
      client_name: "Visual Studio Code",
      redirect_uris: ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
      grant_types: [
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
      ],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
  ].map((document) => [document.client_id, document]),
);
