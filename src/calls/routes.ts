import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";
import { failureAnswer } from "./failure-answer.ts";
import { upstreamHealth } from "./health.ts";
import { type Exchange, type Proxying, proxyCall } from "./proxy.ts";
import type { Recorder } from "./record.ts";

export type McpRoute = { readonly kind: "call" | "health"; readonly upstream: Upstream };

/** Every MCP address, found by one look-up before any router runs. */
export function mcpRoutes(app: Pick<App, "catalog">): ReadonlyMap<string, McpRoute> {
  const routes = new Map<string, McpRoute>();
  for (const upstream of app.catalog.upstreams.values()) {
    const { name } = upstream;
    routes.set(`/mcp/${name}`, { kind: "call", upstream });
    routes.set(`/api/mcp/${name}`, { kind: "call", upstream });
    routes.set(`/api/mcp/${name}/health`, { kind: "health", upstream });
    if (name === app.catalog.defaultUpstream) routes.set("/mcp", { kind: "call", upstream });
  }
  return routes;
}

/** Protected resource metadata (RFC 9728) of one MCP address; `resource` is exactly what a client was given. */
export function resourceMetadata(
  app: Pick<App, "publicUrl">,
  path: string,
  upstream: Upstream,
): Response {
  return Response.json({
    resource: `${app.publicUrl}${path}`,
    resource_name: upstream.title,
    bearer_methods_supported: ["header"],
  });
}

export type McpServing = Proxying & { readonly recorder: Recorder };

/** Answers one request at an MCP address. Never throws. */
export async function answerMcp(
  app: McpServing,
  request: Request,
  found: { route: McpRoute; path: string; requestId: string },
): Promise<Response> {
  const { route, path, requestId } = found;
  const { upstream } = route;
  const exchange: Exchange = { requestId, upstream, startedAt: app.now().getTime() };
  let answer: Response;
  try {
    answer = await answerRoute(app, request, { route, exchange });
  } catch (error) {
    const failure = asFailure(error);
    exchange.failure = failure.code;
    if (failure.code === "internal") app.log.error("internal", { requestId, ...troubleOf(error) });
    answer = failureAnswer(app, failure, { requestId, path, id: exchange.call?.id ?? null });
  }
  if (route.kind === "call") app.recorder.add(exchange, answer.status);
  return answer;
}

function answerRoute(
  app: McpServing,
  request: Request,
  asked: { route: McpRoute; exchange: Exchange },
): Promise<Response> {
  const { method } = request;
  const { kind, upstream } = asked.route;
  if (kind === "health") {
    if (method !== "GET" && method !== "HEAD") throw new Failure("method_not_allowed");
    return upstreamHealth(app, upstream);
  }
  if (method !== "POST" && method !== "GET" && method !== "DELETE")
    throw new Failure("method_not_allowed");
  return proxyCall(app, request, asked.exchange);
}
