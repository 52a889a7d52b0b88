import { originSeenBy } from "#src/oauth-server/resource.ts";
import { scopes } from "#src/oauth-server/scopes.ts";
import type { App } from "#src/app.ts";
import { mcpPaths } from "#src/upstreams/mcp-paths.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { mayHaveActed, withEffect, answerInWords } from "./elicitation-response.ts";
import { failureAnswer } from "./failure-answer.ts";
import { type Outcomes, upstreamHealth } from "./health.ts";
import type { ProviderHealth } from "#src/accounts/provider-health.ts";
import { type Probes, probeScheme } from "./probe.ts";
import type { McpExchange } from "./mcp-exchange.ts";
import { type ProxyDeps, proxyCall } from "./proxy.ts";
import type { Recorder } from "./record.ts";

export type McpRoute = { readonly kind: "call" | "health"; readonly upstream: Upstream };

/** Every MCP address, found by one look-up before any router runs. */
export function mcpRoutes(app: Pick<App, "catalog">): ReadonlyMap<string, McpRoute> {
  const routes = new Map<string, McpRoute>();
  for (const [path, upstream] of mcpPaths(app.catalog)) {
    routes.set(path, { kind: "call", upstream });
    if (path.startsWith("/api/")) routes.set(`${path}/health`, { kind: "health", upstream });
  }
  return routes;
}

/**
 * Protected resource metadata (RFC 9728) of one MCP address; `resource` is exactly what a client was given,
 * under whichever of our names it came.
 */
export function resourceMetadata(
  app: Pick<App, "publicUrl" | "config">,
  request: Request,
  place: { path: string; upstream: Upstream },
): Response {
  return Response.json(
    {
      resource: `${originSeenBy(app, request)}${place.path}`,
      authorization_servers: [app.publicUrl],
      scopes_supported: scopes,
      bearer_methods_supported: ["header"],
      resource_name: place.upstream.title,
    },
    { headers: { "cache-control": "public, max-age=300", vary: "host" } },
  );
}

export type McpDeps = ProxyDeps & {
  readonly recorder: Recorder;
  readonly probes: Probes;
  readonly outcomes: Outcomes;
  readonly providerHealth: ProviderHealth;
};

/** Answers one request at an MCP address. Never throws. */
export async function answerMcp(
  app: McpDeps,
  request: Request,
  route: McpRoute,
  asked: { readonly path: string; readonly requestId: string; readonly address: () => string },
): Promise<Response> {
  const { path, requestId, address } = asked;
  const { upstream } = route;
  const exchange = newExchange(app.now().getTime(), upstream, requestId, address);
  let answer: Response;
  let status: number | undefined;
  try {
    answer = await answerRoute(app, request, { route, exchange });
  } catch (error) {
    const failure = withUnknownEffect(exchange, asFailure(error));
    exchange.failure = failure.code;
    if (failure.details.reason !== undefined) exchange.reason = failure.details.reason;
    if (failure.code === "internal")
      app.log.error("internal", { requestId, ...errorFields(error) });
    const origin = originSeenBy(app, request);
    // A tool's failed result is fine HTTP; what the call met is told by its failure.
    if (mayHaveActed(exchange, failure)) status = failure.meaning.http;
    answer =
      inWords(request, exchange, failure) ??
      failureAnswer(failure, { requestId, origin, path, id: exchange.call?.id ?? null });
  }
  if (route.kind === "call") app.recorder.add(exchange, status ?? answer.status);
  return answer;
}

function newExchange(
  startedAt: number,
  upstream: Upstream,
  requestId: string,
  address: () => string,
): McpExchange {
  return {
    requestId,
    upstream,
    startedAt,
    address,
    call: undefined,
    context: undefined,
    decision: undefined,
    upstreamStatus: undefined,
    failure: undefined,
    reason: undefined,
    span: undefined,
  };
}

/** Whoever repeats a call that may have had an effect has to know that. */
function withUnknownEffect(exchange: McpExchange, failure: Failure): Failure {
  if (!mayHaveActed(exchange, failure)) return failure;
  const { retryAfterSeconds: _sooner, ...details } = failure.details;
  return new Failure(failure.code, withEffect(failure.message), details);
}

/** What a person or a model can do something about, answered in the client's own words. */
function inWords(request: Request, exchange: McpExchange, failure: Failure): Response | undefined {
  const version = request.headers.get("mcp-protocol-version");
  const about = { failure, mayHaveActed: mayHaveActed(exchange, failure) };
  const body = answerInWords(exchange.call, version, about);
  const headers = { "cache-control": "no-store", "x-request-id": exchange.requestId };
  return body === undefined ? undefined : Response.json(body, { headers });
}

function answerRoute(
  app: McpDeps,
  request: Request,
  asked: { route: McpRoute; exchange: McpExchange },
): Promise<Response> {
  const { method } = request;
  const { kind, upstream } = asked.route;
  if (kind === "health") {
    if (method !== "GET" && method !== "HEAD") throw new Failure("method_not_allowed");
    return upstreamHealth(app, upstream);
  }
  if (method !== "POST" && method !== "GET" && method !== "DELETE")
    throw new Failure("method_not_allowed");
  const authorization = request.headers.get("authorization");
  if (authorization?.startsWith(probeScheme) === true) {
    return app.probes.answer(request, asked.exchange.requestId);
  }
  return proxyCall(app, request, asked.exchange, authorization);
}
