import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { oauthErrors } from "#src/failure/failures.ts";
import type { Client } from "../clients/client.ts";
import { type Clients, clientOf } from "../clients/find-client.ts";
import { isRegisteredRedirect } from "../clients/redirect-uris.ts";
import { expectField, withValues } from "../fields.ts";
import {
  type Resource,
  type Addressed,
  isSameResource,
  knownResource,
  resourceOf,
  resourceOfUpstream,
} from "../resource.ts";
import { type Scope, readScopes } from "../scopes.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";

/** An authorization request that has passed every check. */
export type AuthorizationRequest = {
  readonly client: Client;
  readonly redirectUri: string;
  readonly state: string | null;
  readonly challenge: string;
  readonly scopes: readonly Scope[];
  readonly resource: Resource;
  readonly prompt: ReadonlySet<string>;
  /** The query as it came: the consent page carries it along. */
  readonly query: string;
};

/** Where an answer goes; proven before anything is sent there. */
export type ProvenRedirect = Pick<AuthorizationRequest, "client" | "redirectUri" | "state">;

type Deps = Pick<App, "db" | "catalog" | "publicUrl" | "config"> & { readonly clients: Clients };

const mostCharacters = 4096;

/**
 * Who asks, and where the answer goes. What fails here is shown to the person and sent nowhere.
 * Failures: `invalid_request`, `client_unknown`, `redirect_uri_unknown`.
 */
export async function provenRedirect(app: Deps, query: string): Promise<ProvenRedirect> {
  if (query.length > mostCharacters) {
    throw new Failure("invalid_request", `The request is longer than ${mostCharacters} characters`);
  }
  const isFirst = (name: string) => ["client_id", "redirect_uri", "state"].includes(name);
  const asked = withValues(new URLSearchParams(query), isFirst);
  const clientId = expectField(asked, "client_id");
  const client = await clientOf(app, clientId);
  const redirectUri = asked.get("redirect_uri") ?? "";
  if (!isRegisteredRedirect(client.redirectUris, redirectUri)) {
    throw new Failure("redirect_uri_unknown");
  }
  return { client, redirectUri, state: asked.get("state") };
}

const known = new Set(
  "response_type response_mode client_id redirect_uri state scope prompt code_challenge code_challenge_method request request_uri".split(
    " ",
  ),
);

type Step = (app: Deps, asked: URLSearchParams, client: Client) => void;

/** RFC 6749 section 4.1.1, RFC 7636 section 4.3, in the order in which they are told. */
const steps: readonly Step[] = [
  (_, asked) => {
    if (asked.has("request") || asked.has("request_uri"))
      refuse("request objects are not supported");
  },
  (_, asked) => {
    if (expectField(asked, "response_type") !== "code")
      throw new Failure("unsupported_response_type");
  },
  (_, asked) => {
    if ((asked.get("response_mode") ?? "query") !== "query") refuse("response_mode must be query");
  },
  (_, asked, client) => {
    if (!client.grantTypes.includes("authorization_code")) throw new Failure("unauthorized_client");
  },
  (_, asked) => {
    const isS256 = asked.get("code_challenge_method") === "S256";
    const isChallenge = /^[\w-]{43}$/.test(asked.get("code_challenge") ?? "");
    if (!isS256 || !isChallenge) refuse("PKCE with S256 is required");
  },
];

function refuse(why: string): never {
  throw new Failure("invalid_request", why);
}

/** The rest of the request. What fails here is told to the client, at its proven redirect URI. */
export function readAuthorizationRequest(
  app: Deps,
  proven: ProvenRedirect,
  query: string,
): AuthorizationRequest {
  const asked = withValues(new URLSearchParams(query), (name) => known.has(name));
  for (const step of steps) step(app, asked, proven.client);
  const resource = personsResource(app, proven.client, asked.getAll("resource"));
  return {
    ...proven,
    query,
    resource,
    challenge: asked.get("code_challenge") ?? "",
    scopes: scopesFor(proven.client, asked.get("scope")),
    prompt: new Set((asked.get("prompt") ?? "").split(" ")),
  };
}

/** The address of an answer, with `iss` whatever it says (RFC 9207); what the client registered is kept as it is. */
export function answerAddress(
  app: Pick<App, "publicUrl">,
  proven: ProvenRedirect,
  answer: Readonly<Record<string, string>>,
): string {
  const { redirectUri, state } = proven;
  const parameters = new URLSearchParams({
    ...answer,
    ...(state === null ? {} : { state }),
    iss: app.publicUrl,
  });
  return `${redirectUri}${redirectUri.includes("?") ? "&" : "?"}${parameters.toString()}`;
}

/** The same for a failure; undefined when it is not one that OAuth tells clients of. */
export function failureAddress(
  app: Pick<App, "publicUrl">,
  proven: ProvenRedirect,
  failure: Failure,
): string | undefined {
  if (!Object.hasOwn(oauthErrors, failure.code)) return undefined;
  const description = failure.message.replace(/["\\]|[^\x20-\x7e]/g, "'");
  return answerAddress(app, proven, { error: failure.code, error_description: description });
}

/**
 * What a client gets of the scopes it asks for: those it may have; its default when it asks for none that we
 * know (RFC 6749 section 3.3). Failures: `invalid_scope` when nothing would be left.
 */
export function scopesFor(client: Client, asked: string | null): readonly Scope[] {
  const wanted = readScopes(asked ?? "");
  if (wanted.length === 0) return client.scopes;
  const given = wanted.filter((scope) => client.scopes.includes(scope));
  if (given.length === 0) throw new Failure("invalid_scope");
  return given;
}

/** Failures: `invalid_target`. */
function mayUse(client: Client, upstream: Upstream): void {
  if (client.upstreams === undefined || client.upstreams.includes(upstream.name)) return;
  throw new Failure("invalid_target", `This client may not use ${upstream.name}`);
}

/**
 * What a client asks for; without a word, the first upstream that the operator gave it, else the default one.
 * Failures: `invalid_target`.
 */
export function wantedResource(app: Addressed, client: Client, asked: readonly string[]): Resource {
  const [own] = client.upstreams ?? [];
  const isSilent = asked.every((each) => each === "");
  const wanted =
    own !== undefined && isSilent ? resourceOfUpstream(app, own) : resourceOf(app, asked);
  mayUse(client, wanted.upstream);
  return wanted;
}

/** The same where a person decides: what is the operator's alone is no person's to allow. Failures: `invalid_target`. */
export function personsResource(
  app: Addressed,
  client: Client,
  asked: readonly string[],
): Resource {
  const wanted = wantedResource(app, client, asked);
  if (wanted.upstream.credential.kind === "operator") {
    throw new Failure("invalid_target", `${wanted.upstream.name} is for agents of the operator`);
  }
  return wanted;
}

/**
 * A token is for what the person saw: a later `resource` may repeat it, not change it, and the address still
 * has to mean the same upstream. Failures: `invalid_target`.
 */
export function checkResource(
  app: Addressed,
  form: URLSearchParams,
  granted: { readonly resource: string; readonly upstream: string },
): void {
  const asked = form.getAll("resource").filter((each) => each !== "");
  const isOther = asked.some(
    (each) => !isSameResource(knownResource(app, each)?.url ?? "", granted.resource),
  );
  const isMoved = knownResource(app, granted.resource)?.upstream.name !== granted.upstream;
  if (isOther || isMoved || asked.length > 1) {
    throw new Failure("invalid_target", "The grant is for another resource");
  }
}
