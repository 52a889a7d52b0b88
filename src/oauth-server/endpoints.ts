import type { App } from "#src/app.ts";
import { type FailureCode, Failure, asFailure, meaningOf } from "#src/failure.ts";
import type { createSemaphores } from "#src/http/semaphore.ts";
import type { FloodGate } from "#src/http/flood-gate.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { languages } from "#src/http/language.ts";
import type { Settled } from "#src/http/body.ts";
import { readFields, readJsonObject } from "./fields.ts";
import type { CallerDeps } from "./caller.ts";
import { scopes } from "./scopes.ts";
import { assertionAlgorithms } from "./clients/assertion.ts";
import { authMethodNames } from "./clients/authenticate.ts";
import { registerClient } from "./clients/register.ts";
import { authorizeDevice } from "./devices/device.ts";
import type { GrantDeps } from "./grants/deps.ts";
import { answerKnownAgent, answerTokenRequest, grantHandlers } from "./grants/token.ts";
import { oauthAnswer } from "./oauth-answer.ts";
import { introspect } from "./tokens/introspect.ts";
import { revoke } from "./tokens/revoke.ts";

type AuthorizationServer = App & { readonly settled: Settled } & GrantDeps &
  CallerDeps & {
    readonly registrationGate: FloodGate;
    readonly deviceGate: FloodGate;
    /** Counts what fails at the endpoints that clients prove themselves at. */
    readonly failureGate: FloodGate;
    /** How many of an address may prove themselves at the same time. */
    readonly proofs: Pick<ReturnType<typeof createSemaphores>, "take">;
  };

type Mount = (routes: PageRoutes, app: AuthorizationServer, path: string) => void;

export const tokenPath = "/token";
export const authorizePath = "/authorize";

/**
 * The authorization server: each endpoint by its name in the metadata (RFC 8414 section 2), so that what is
 * mounted and what is announced cannot differ.
 */
export const endpoints: Readonly<
  Record<string, { readonly path: string; readonly mount: Mount | undefined }>
> = {
  // A page: `mountAuthorize`.
  authorization_endpoint: { path: authorizePath, mount: undefined },
  token_endpoint: { path: tokenPath, mount: mountPosted(answerTokenRequest) },
  registration_endpoint: { path: "/register", mount: mountRegistration },
  revocation_endpoint: { path: "/revoke", mount: mountPosted(revoke) },
  introspection_endpoint: { path: "/introspect", mount: mountPosted(introspect) },
  device_authorization_endpoint: {
    path: "/device_authorization",
    mount: mountPosted(authorizeDevice, (app) => app.deviceGate),
  },
  jwks_uri: { path: "/jwks", mount: mountKeys },
};

/** Mission document 3: the token endpoint under the names that nodes announce. */
export const tokenEndpointAliases = ["/mcp/auth/token", "/mcp/node/:node_id/auth/token"] as const;

/** Where the metadata stands (RFC 8414 section 3, and where OpenID Connect clients look). */
export const metadataPaths = [
  "/.well-known/oauth-authorization-server",
  "/.well-known/openid-configuration",
] as const;

/** Mounts every endpoint and the metadata that names them, behind the pages: what they do not answer, no method does. */
export function mountAuthorizationServer(routes: PageRoutes, app: AuthorizationServer): void {
  for (const { path, mount } of Object.values(endpoints)) mount?.(routes, app, path);
  const [plainAlias, nodeAlias] = tokenEndpointAliases;
  mountPosted(answerTokenRequest)(routes, app, plainAlias);
  mountPosted(answerNodesTokenRequest)(routes, app, nodeAlias);
  for (const path of [
    ...tokenEndpointAliases,
    ...Object.values(endpoints).map(({ path }) => path),
  ]) {
    const allow = path === authorizePath ? "GET, POST" : path === "/jwks" ? "GET" : "POST";
    const body = { error: "invalid_request", error_description: `Use ${allow}` };
    routes.all(path, () => Response.json(body, { status: 405, headers: { allow } }));
  }
  const metadata = authorizationServerMetadata(app);
  const headers = { "cache-control": "public, max-age=300" };
  for (const path of metadataPaths) routes.get(path, () => Response.json(metadata, { headers }));
}

/** RFC 8414 section 2, RFC 9207 section 3, the client id metadata document draft. */
function authorizationServerMetadata(app: Pick<App, "publicUrl" | "config">) {
  const addresses = Object.entries(endpoints).map(
    ([name, { path }]) => [name, `${app.publicUrl}${path}`] as const,
  );
  const proving = authMethodNames.filter((method) => method !== "none");
  return {
    issuer: app.publicUrl,
    ...Object.fromEntries(addresses),
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    grant_types_supported: Object.keys(grantHandlers),
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: authMethodNames,
    token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    revocation_endpoint_auth_methods_supported: authMethodNames,
    revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    introspection_endpoint_auth_methods_supported: proving,
    introspection_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    scopes_supported: [...scopes, "offline_access"],
    ui_locales_supported: languages,
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: app.config.clientDocuments !== "off",
  };
}

/** The addresses of the token endpoint that assertions may be made for, whichever endpoint is asked. */
export function tokenEndpointAddresses(publicUrl: string): readonly string[] {
  return [`${publicUrl}${tokenPath}`, `${publicUrl}${tokenEndpointAliases[0]}`];
}

type Posted = (
  app: AuthorizationServer,
  request: Request,
  fields: URLSearchParams,
) => Promise<unknown>;

type GateOf = (app: AuthorizationServer) => FloodGate;

type Visit = { readonly requestId: string; readonly address: () => string };

function mountPosted(handle: Posted, gateOf?: GateOf): Mount {
  return (routes, app, path) => {
    routes.post(path, ({ req, env }) =>
      answerPosted(app, req.raw, { handle, visit: env, gate: gateOf?.(app) }),
    );
  };
}

/** At a node's own address, an agent of the operator means the node where it says nothing else (mission document 3). */
function answerNodesTokenRequest(
  app: AuthorizationServer,
  request: Request,
  fields: URLSearchParams,
) {
  const isOperators = fields.get("grant_type") === "client_credentials";
  if (isOperators && app.catalog.upstreams.has("node") && !fields.has("resource")) {
    fields.set("resource", `${app.publicUrl}/mcp/node`);
  }
  return answerTokenRequest(app, request, fields);
}

/** The token endpoint without a router before it: agents of the operator ask it all day. */
export function answerToken(
  app: AuthorizationServer,
  request: Request,
  visit: Visit,
): Promise<Response> {
  const handles = { handle: answerTokenRequest, handleKnown: answerKnownAgent };
  return answerPosted(app, request, { ...handles, visit, gate: undefined });
}

function answerPosted(
  app: AuthorizationServer,
  request: Request,
  posted: {
    handle: Posted;
    /** For whom nobody has to be asked: they wait for nobody. */
    handleKnown?: typeof answerKnownAgent;
    visit: Visit;
    gate: FloodGate | undefined;
  },
): Promise<Response> {
  const { handle, handleKnown, visit, gate } = posted;
  return oauthAnswer(app, { request, requestId: visit.requestId }, async () => {
    gate?.pass(visit.address());
    let leave: (() => void) | undefined;
    try {
      // Whoever sends slowly holds nothing that others at the address wait for.
      const fields = await readFields(request, app);
      const answer = handleKnown?.(app, request, fields);
      if (answer !== undefined) return await answer;
      app.clients.expect(fields.get("client_id") ?? "", visit.address);
      leave = await app.proofs.take(visit.address());
      if (leave === undefined) {
        throw new Failure("too_many_requests", undefined, { retryAfterSeconds: 1 });
      }
      return await handle(app, request, fields);
    } catch (error) {
      countFailure(app, visit, asFailure(error).code);
      throw error;
    } finally {
      leave?.();
    }
  });
}

/**
 * Whoever guesses fails; a device that waits for its person does not. Beyond the limit only that is told, and whoever
 * proves themselves rightly passes all the same: others at the address must not lock them out.
 * Failures: `too_many_requests`.
 */
function countFailure(app: AuthorizationServer, visit: Visit, code: FailureCode): void {
  if (code === "authorization_pending" || meaningOf(code).http >= 500) return;
  app.failureGate.pass(visit.address());
}

function mountRegistration(routes: PageRoutes, app: AuthorizationServer, path: string): void {
  routes.post(path, ({ req, env }) =>
    oauthAnswer(app, { request: req.raw, requestId: env.requestId, status: 201 }, async () => {
      app.registrationGate.pass(env.address());
      return await registerClient(app, await readJsonObject(req.raw));
    }),
  );
}

function mountKeys(routes: PageRoutes, app: AuthorizationServer, path: string): void {
  routes.get(path, async () => {
    const { published } = await app.signingKeys.ring();
    const headers = { "cache-control": "public, max-age=300" };
    return Response.json({ keys: published }, { headers });
  });
}
