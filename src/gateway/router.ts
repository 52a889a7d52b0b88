import { Hono } from "hono";
import type { RefreshParts } from "#src/accounts/refresh/deps.ts";
import {
  answerToken,
  endpoints,
  mountAuthorizationServer,
  tokenEndpointAliases,
  tokenPath,
} from "#src/oauth-server/endpoints.ts";
import type { App } from "#src/app.ts";
import { failureAnswer } from "#src/proxy/failure-answer.ts";
import { type McpRoute, answerMcp, mcpRoutes, resourceMetadata } from "#src/proxy/routes.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { networkOf, unknownAddress } from "#src/http/address.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { createCors, createOriginCheck } from "#src/http/origin.ts";
import { within } from "#src/clock.ts";
import type { Handle } from "#src/runtime/runtime.ts";
import { mountPages } from "#src/pages/routes.ts";
import { failurePage } from "#src/pages/page.ts";
import { languageOf } from "#src/http/language.ts";
import { readTraceparent } from "#src/telemetry/trace.ts";
import { redact } from "#src/telemetry/redact.ts";
import { randomBytes } from "node:crypto";
import { errorFields } from "#src/telemetry/error-fields.ts";
import type { CheckRunner } from "#src/operations/check-run.ts";
import { mountOperations } from "#src/operations/routes.ts";
import type { Parts } from "./composition.ts";

/** Two answers of a provider and a few of the database. */
const longestPageMs = 60_000;

type Serving = Parts &
  RefreshParts & {
    readonly isDraining: () => boolean;
    readonly checkRunner: CheckRunner | undefined;
  };

type Deps = Serving & {
  /** Undefined when it is switched off. */
  readonly edge: { mount(routes: PageRoutes, app: Serving): void } | undefined;
};

/** Answers every request: MCP addresses first, by one look-up; everything else goes through the router. */
export function createAnswer(app: Deps, port: number): Handle {
  const cors = createCors(app.config.guards.allowedOrigins);
  const originCheck = createOriginCheck({ ...app.config, publicUrl: app.publicUrl, port });
  const routes = mcpRoutes(app);
  const pages = createPages(app, routes);
  const requestIdOf = createRequestIds();

  return (request, peer) => {
    const requestId = requestIdOf(request);
    const path = knownPath(request.url);
    const route = routes.get(path) ?? routes.get(path.replace(/\/$/, ""));
    let known: string | undefined;
    const address = () => (known ??= clientAddress(app, request, peer));
    const asked = { requestId, path, route, address };
    const isDeclared = isForPrograms(path, route) && cors.isDeclared(request);
    try {
      originCheck.check(request, isDeclared);
    } catch (error) {
      return refused(app, request, asked, asFailure(error));
    }
    if (!isDeclared) return answered(request, asked);
    return cors.preflight(request) ?? opened(request, answered(request, asked));
  };

  async function opened(request: Request, answer: Response | Promise<Response>) {
    return cors.opened(request, await answer);
  }

  function answered(request: Request, asked: Asked): Response | Promise<Response> {
    const { route, path } = asked;
    if (route !== undefined) return answerMcp(app, request, route, asked);
    if (path === tokenPath && request.method === "POST") return answerToken(app, request, asked);
    return paged(request, asked);
  }

  async function paged(
    request: Request,
    env: { readonly requestId: string; readonly address: () => string },
  ): Promise<Response> {
    const late = () => new Failure("database_unavailable");
    try {
      return await within(longestPageMs, Promise.resolve(pages.fetch(request, env)), late);
    } catch (error) {
      const { requestId } = env;
      return await renderFailure(app, request, { failure: asFailure(error), requestId });
    }
  }
}

function refused(
  app: Deps,
  request: Request,
  { requestId, path, route }: Asked,
  failure: Failure,
): Response | Promise<Response> {
  app.log.warn("refused_at_the_door", {
    requestId,
    code: failure.code,
    path: path.slice(0, 100),
    host: request.headers.get("host")?.slice(0, 100),
  });
  return route === undefined
    ? renderFailure(app, request, { failure, requestId })
    : failureAnswer(failure, { requestId, origin: app.publicUrl, path, id: null });
}

/** What is known of a request before it is answered. */
type Asked = {
  readonly requestId: string;
  readonly path: string;
  readonly route: McpRoute | undefined;
  /** The client's. */
  readonly address: () => string;
};

const programs: ReadonlySet<string> = new Set([
  ...Object.values(endpoints).flatMap(({ path }) => (path === "/authorize" ? [] : [path])),
  ...tokenEndpointAliases,
]);

/** Addresses that a client in a browser asks with `fetch`; pages are not among them. */
function isForPrograms(path: string, route: McpRoute | undefined): boolean {
  if (route !== undefined || programs.has(path) || path.startsWith("/.well-known/")) return true;
  return /^\/mcp\/node\/[^/]+\/auth\/token$/.test(path);
}

/** Who is at the other end: by the connection, or as the operator's own proxy says it. */
function clientAddress({ config }: App, request: Request, peer: () => string): string {
  const header = config.clientAddressHeader;
  const said = header === undefined ? undefined : request.headers.get(header)?.split(",").at(-1);
  const address = said === undefined ? undefined : networkOf(said);
  return address ?? networkOf(peer()) ?? unknownAddress;
}

/** Names one request in logs, answers and the audit trail. */
type RequestIds = (request: Request) => string;

const acceptable = /^[\w.:+/=-]{4,64}$/;

/** What `X-Request-Id` says, else the trace id of `traceparent`, else one of our own: a prefix for this process and a count. */
function createRequestIds(): RequestIds {
  const prefix = randomBytes(6).toString("base64url");
  let count = 0;
  return ({ headers }) => {
    count += 1;
    const given = headers.get("x-request-id");
    // A credential that strayed into this header must not become a name.
    if (given !== null && acceptable.test(given) && redact(given) === given) return given;
    const trace = headers.get("traceparent");
    const traceId = trace === null ? undefined : readTraceparent(trace)?.traceId;
    return traceId ?? `${prefix}-${count.toString(36)}`;
  };
}

/** The few addresses that agents call are looked at once. */
const paths = new Map<string, string>();
const [mostPaths, longestUrl] = [200, 200];

function knownPath(url: string): string {
  const known = paths.get(url);
  if (known !== undefined) return known;
  const path = pathOf(url);
  if (url.length > longestUrl) return path;
  if (paths.size >= mostPaths) paths.clear();
  paths.set(url, path);
  return path;
}

/** The path of an absolute URL, without parsing the rest of it. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const [query, fragment] = [url.indexOf("?", start), url.indexOf("#", start)];
  const end = query === -1 || (fragment !== -1 && fragment < query) ? fragment : query;
  return end === -1 ? url.slice(start) : url.slice(start, end);
}

function createPages(app: Deps, routes: ReadonlyMap<string, McpRoute>): PageRoutes {
  const pages: PageRoutes = new Hono();
  app.edge?.mount(pages, app);
  mountPages(pages, app);
  mountAuthorizationServer(pages, app);
  mountOperations(pages, app);
  mountMetadata(pages, app, routes);
  pages.notFound(({ req, env }) => {
    const isMcp = req.path.startsWith("/mcp");
    const failure = new Failure("not_found", undefined, isMcp ? { hint: whereMcpIs } : {});
    return renderFailure(app, req.raw, { failure, requestId: env.requestId });
  });
  pages.onError((error, { req, env }) => {
    const failure = asFailure(error);
    const { requestId } = env;
    if (failure.code === "internal")
      app.log.error("internal", { requestId, ...errorFields(error) });
    else app.log.info("page_refused", { requestId, code: failure.code, ...reasonOf(failure) });
    return renderFailure(app, req.raw, { failure, requestId });
  });
  return pages;
}

/** Their names are for those who may come in. */
const whereMcpIs =
  "An MCP server is at /mcp/NAME: the person's page and smartdash client-config show the address.";

/** At the well-known path with and without the MCP address; the bare one describes the default upstream. */
function mountMetadata(pages: PageRoutes, app: App, routes: ReadonlyMap<string, McpRoute>): void {
  const wellKnown = "/.well-known/oauth-protected-resource";
  for (const [path, { kind, upstream }] of routes) {
    if (kind !== "call") continue;
    const describe = (at: string, named: string) =>
      pages.get(at, ({ req }) => resourceMetadata(app, req.raw, { path: named, upstream }));
    describe(`${wellKnown}${path}`, path);
    // Some people type the slash; what describes the address has to repeat it.
    describe(`${wellKnown}${path}/`, `${path}/`);
    if (path === "/mcp") describe(wellKnown, path);
  }
}

/** A page for browsers; JSON for programs. */
function renderFailure(
  app: App,
  request: Request,
  what: { failure: Failure; requestId: string },
): Response | Promise<Response> {
  const { failure, requestId } = what;
  if (request.headers.get("accept")?.includes("text/html") === true) {
    return failurePage(languageOf(request), failure, requestId);
  }
  const { message, details, code } = failure;
  const body = {
    error: code,
    message,
    hint: details.hint,
    url: details.link,
    request_id: requestId,
  };
  const retryAfter = details.retryAfterSeconds;
  return Response.json(body, {
    status: failure.meaning.http,
    headers: {
      "cache-control": "no-store",
      "x-request-id": requestId,
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
    },
  });
}

function reasonOf({ details: { reason } }: Failure): { readonly reason?: string } {
  return reason === undefined ? {} : { reason };
}
