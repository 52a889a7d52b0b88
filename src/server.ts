import { randomBytes } from "node:crypto";
import { Hono } from "hono";
import { openJournal } from "./accounts/journal/journal.ts";
import { recoverAtStart, startRecovery } from "./accounts/recovery/recover.ts";
import { createRefreshParts } from "./accounts/refresh/refreshing.ts";
import type { AtStep } from "./accounts/refresh/step.ts";
import { mountAccounts } from "./accounts/routes.ts";
import { followEndings } from "./agents/endings.ts";
import { answerToken, tokenPath } from "./agents/endpoints.ts";
import { createAgentParts } from "./agents/parts.ts";
import { mountAgents } from "./agents/routes.ts";
import type { App } from "./app.ts";
import { createCache } from "./cache.ts";
import { createDeadlines } from "./calls/deadlines.ts";
import { failureAnswer } from "./calls/failure-answer.ts";
import { createHeartbeat } from "./calls/heartbeat.ts";
import { mostBodyBytes } from "./calls/message.ts";
import { createOpenStreams } from "./calls/open-streams.ts";
import { createReach } from "./calls/reach.ts";
import { createRecorder } from "./calls/record.ts";
import { type McpRoute, answerMcp, mcpRoutes, resourceMetadata } from "./calls/routes.ts";
import { Failure, asFailure } from "./failure.ts";
import type { PageRoutes } from "./http/page-routes.ts";
import { fetchExchange } from "./http/fetch-exchange.ts";
import { createFrontDoor } from "./http/origin.ts";
import { within } from "./once.ts";
import type { Handle, Runtime } from "./runtime/runtime.ts";
import { mountPeople } from "./people/routes.ts";
import { failurePage } from "./screens/page.ts";
import { languageOf } from "./screens/language.ts";
import { troubleOf } from "./telemetry/trouble.ts";
import { mountUpkeep } from "./upkeep/routes.ts";
import { startSchedule } from "./upkeep/schedule.ts";

export type Gateway = {
  /** What people open, e.g. `http://localhost:8000`. */
  readonly publicUrl: string;
  readonly port: number;
  /** Takes no new work, lets what runs finish within the limit, then ends. */
  stop(): Promise<void>;
};

/** Two answers of a provider and a few of the database. */
const longestPageMs = 60_000;
/** Leaves room to answer a too large body with words instead of the runtime's bare 413. */
const refusedUnreadBytes = mostBodyBytes + 1024 * 1024;

export type GatewayOptions = {
  /** For tests: what happens between every two steps of a refresh. */
  readonly atStep?: AtStep;
};

/**
 * Finishes what an earlier process left in the journal, listens, and mounts everything there is.
 * Failures: `journal_unusable`, `port_unavailable`.
 */
export async function startGateway(
  opened: App,
  runtime: Runtime,
  options: GatewayOptions = {},
): Promise<Gateway> {
  const journal = await openJournal(opened);
  const refreshParts = createRefreshParts(opened, journal, options.atStep);
  await recoverAtStart({ ...opened, ...refreshParts });
  let answer: Handle = () => new Response(null, { status: 503 });
  const serving = listen(opened, runtime, (request, peer) => answer(request, peer));
  const publicUrl = opened.config.publicUrl ?? `http://localhost:${serving.port}`;
  const app = { ...withParts({ ...opened, publicUrl }, runtime), ...refreshParts };
  answer = createAnswer(app, serving.port);
  const schedule = startSchedule(app);
  const recovery = startRecovery(app);
  const endings = followEndings(app, app.letGo);
  return {
    publicUrl,
    port: serving.port,
    stop: async () => {
      await Promise.all([serving.stop(app.config.drainMs), schedule.stop(), endings.stop()]);
      // A provider's answer that is still on its way is the only copy of a credential.
      await app.once.settled();
      await recovery.stop();
      app.deadlines.stop();
      app.heartbeat.stop();
      await app.recorder.stop();
    },
  };
}

function listen(app: App, runtime: Runtime, handle: Handle) {
  const { host: hostname, port } = app.config;
  try {
    return runtime.serve({ hostname, port, maxBodyBytes: refusedUnreadBytes, handle });
  } catch {
    throw new Failure("port_unavailable", `${hostname}:${port} cannot be listened on`, {
      hint: "Another program may be using it: choose another PORT, or 0.",
    });
  }
}

function withParts(app: App, runtime: Pick<Runtime, "exchange">) {
  const now = () => app.now().getTime();
  const openStreams = createOpenStreams(now);
  return {
    ...app,
    ...createAgentParts(app, openStreams.cut),
    openStreams,
    // An HTTP proxy is for the runtime's fetch to find and use.
    exchange: app.config.usesProxy ? fetchExchange : runtime.exchange,
    deadlines: createDeadlines(now),
    heartbeat: createHeartbeat(now, app.config.upstreamLimits.keepAliveMs),
    reach: createReach(app),
    recorder: createRecorder(app),
    refused: createCache<number>({ freshMs: 5 * 60_000, staleMs: 0, size: 10_000, now }),
  };
}

type Serving = ReturnType<typeof withParts> & ReturnType<typeof createRefreshParts>;

/** MCP addresses first, by one look-up; everything else goes through the router. */
function createAnswer(app: Serving, port: number): Handle {
  const frontDoor = createFrontDoor({ ...app.config, publicUrl: app.publicUrl, port });
  const routes = mcpRoutes(app);
  const pages = createPages(app, routes);
  const prefix = randomBytes(6).toString("base64url");
  let count = 0;

  return (request, peer) => {
    count += 1;
    const requestId = `${prefix}-${count.toString(36)}`;
    const path = pathOf(request.url);
    const route = routes.get(path) ?? routes.get(path.replace(/\/$/, ""));
    try {
      frontDoor.check(request);
    } catch (error) {
      const failure = asFailure(error);
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
    if (route !== undefined) return answerMcp(app, request, { route, path, requestId });
    const address = () => clientAddress(app, request, peer);
    if (path === tokenPath && request.method === "POST") {
      return answerToken(app, request, { requestId, address });
    }
    const late = () => new Failure("database_unavailable");
    const page = within(
      longestPageMs,
      Promise.resolve(pages.fetch(request, { requestId, address })),
      late,
    );
    return page.catch((error: unknown) =>
      renderFailure(app, request, { failure: asFailure(error), requestId }),
    );
  };
}

/** Who is at the other end: by the connection, or as the operator's own proxy says it. */
function clientAddress({ config }: App, request: Request, peer: () => string): string {
  const header = config.clientAddressHeader;
  const said = header === undefined ? undefined : request.headers.get(header);
  return networkOf(said?.split(",").at(-1)?.trim() ?? peer());
}

/** One household has 2^64 addresses of IPv6: they count as one. */
function networkOf(address: string): string {
  if (!address.includes(":") || address.startsWith("::ffff:")) return address;
  const [head = "", tail = ""] = address.split("::");
  const groups = head.split(":");
  const missing = 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  const filled = address.includes("::") ? [...groups, ...Array<string>(missing).fill("0")] : groups;
  return filled.slice(0, 4).join(":");
}

/** The path of an absolute URL, without parsing the rest of it. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const end = url.slice(start).search(/[?#]/);
  return end === -1 ? url.slice(start) : url.slice(start, start + end);
}

function createPages(app: Serving, routes: ReadonlyMap<string, McpRoute>): PageRoutes {
  const pages: PageRoutes = new Hono();
  mountPeople(pages, app);
  mountAccounts(pages, app);
  mountAgents(pages, app);
  mountUpkeep(pages, app);
  mountMetadata(pages, app, routes);
  pages.notFound(({ req, env }) =>
    renderFailure(app, req.raw, { failure: new Failure("not_found"), requestId: env.requestId }),
  );
  pages.onError((error, { req, env }) => {
    const failure = asFailure(error);
    const { requestId } = env;
    if (failure.code === "internal") app.log.error("internal", { requestId, ...troubleOf(error) });
    else app.log.info("page_refused", { requestId, code: failure.code });
    return renderFailure(app, req.raw, { failure, requestId });
  });
  return pages;
}

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
