import { identityOfPeer } from "./identity.ts";
import { topicsOfCaller } from "#src/policy/plan.ts";
import { type Caller, callerOf } from "#src/oauth-server/caller.ts";
import { isPeersClient } from "#src/oauth-server/clients/operator.ts";
import { bearerOf } from "#src/proxy/auth.ts";
import type { McpDeps } from "#src/proxy/routes.ts";
import { type Upstream, insideScheme } from "#src/upstreams/upstream.ts";
import { nodeAlias } from "#src/config/edge.ts";
import { noToolRules } from "#src/upstreams/tool-rules.ts";
import { Failure } from "#src/failure.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import type { CapabilityDocument } from "./capabilities.ts";
import { callPlainly, readPlainly } from "./plain-requests.ts";
import type { PeerSessions } from "./peers/peer-tokens.ts";
import type { AccountStates } from "./stream/account-states.ts";
import { type Broker, openNotices } from "./stream/stream.ts";

type NodeParts = {
  readonly nodeId: string;
  /** What the operator calls it. */
  readonly alias: string | undefined;
  readonly capabilities: () => CapabilityDocument;
  readonly sessions: PeerSessions;
  readonly broker: Broker;
  readonly accounts: AccountStates;
};

/** `/mcp/node/NODE_ID/…` of this node, and of the trusted ones behind it. */
export function mountNode(routes: PageRoutes, app: McpDeps, parts: NodeParts): void {
  const { sessions } = parts;
  // Also of addresses that the core serves for any name when nothing of this is switched on.
  routes.use("/mcp/node/:node_id/*", async ({ req }, next) => {
    const name = req.param("node_id");
    const isName = nodeAlias.test(name) || identityOfPeer(name) !== undefined;
    const isForPeer = isName && /\/(tools\/call|resources\/.+)$/.test(req.path);
    if (
      !isOwn(parts, name) &&
      !(isForPeer && (await isPeerFor(app, req.raw, { name, sessions })))
    ) {
      throw new Failure("node_unknown");
    }
    await next();
  });
  routes.get("/mcp/node/:node_id/info", () => {
    const headers = { "cache-control": "no-store" };
    return Response.json(parts.capabilities(), { headers });
  });
  routes.get("/mcp/node/:node_id/resources/*", async ({ req, env }) => {
    const asked = { request: req.raw, ...env };
    return await readPlainly(
      app,
      asked,
      await placeOf(app, req.raw, await atPeer(parts, req.param("node_id"))),
    );
  });
  routes.post("/mcp/node/:node_id/tools/call", async ({ req, env }) => {
    const asked = { request: req.raw, ...env };
    return await callPlainly(
      app,
      asked,
      await placeOf(app, req.raw, await atPeer(parts, req.param("node_id"))),
    );
  });
  routes.post("/mcp/tools/call", async ({ req, env }) =>
    callPlainly(app, { request: req.raw, ...env }, await placeOf(app, req.raw, undefined)),
  );
  routes.get("/mcp/node/:node_id/stream", async ({ req }) => await stream(app, req.raw, parts));
}

/** Whether somebody of this name is behind us, for an agent of the operator: nobody else learns that. */
async function isPeerFor(
  app: McpDeps,
  request: Request,
  { name, sessions }: { readonly name: string; readonly sessions: PeerSessions },
): Promise<boolean> {
  const caller = await callerOf(app, bearerIn(request));
  if (caller === undefined) throw new Failure("bearer_invalid");
  return isOperators(caller) && (await sessions.nodeIdOf(name)) !== undefined;
}

/** An agent of the operator, and not another node: what is behind us is not for those in front of us. */
export function isOperators({ kind, agent }: Caller): boolean {
  return kind === "agent" && !isPeersClient(agent);
}

function bearerIn(request: Request): string {
  return request.headers.get("authorization")?.slice("bearer ".length).trim() ?? "";
}

function isOwn({ nodeId, alias }: NodeParts, name: string): boolean {
  return name === nodeId || name === alias;
}

/**
 * A trusted node, as an MCP server behind this one: agents of the operator reach it with a bearer for this node.
 * Whatever it is called, guards know it by its node id.
 */
async function atPeer(parts: NodeParts, called: string): Promise<Upstream | undefined> {
  if (isOwn(parts, called)) return undefined;
  const name = await parts.sessions.nodeIdOf(called);
  if (name === undefined) throw new Failure("node_unknown");
  return {
    name,
    title: `Node ${name}`,
    url: `${insideScheme}//${name}/`,
    credential: { kind: "operator" },
    tools: noToolRules,
    admits: "node",
  };
}

/** What a plain request goes to: the node that it names, else the MCP server that its bearer is for. */
async function placeOf(app: McpDeps, request: Request, peer: Upstream | undefined) {
  if (peer !== undefined) return { upstream: peer, path: "/mcp/node" };
  const { upstreams, defaultUpstream } = app.catalog;
  const caller = await callerOf(app, bearerIn(request));
  const upstream = upstreams.get(caller?.upstream ?? defaultUpstream);
  if (upstream === undefined) throw new Failure("not_found");
  const path = upstream.name === defaultUpstream ? "/mcp" : `/mcp/${upstream.name}`;
  return { upstream, path };
}

/** Notifications for whoever may read, which every scope includes. Failures: those of `bearerOf`, `busy`. */
async function stream(app: McpDeps, request: Request, parts: NodeParts): Promise<Response> {
  const { upstream } = await placeOf(app, request, undefined);
  const caller = await bearerOf(app, request.headers.get("authorization"), upstream);
  if (request.method === "HEAD") return new Response(null);
  const { accountId, provider } = caller;
  const own = provider === undefined ? [] : [`provider:${provider}`];
  const topics = [...topicsOfCaller(caller, upstream), ...own];
  app.switches.check(topics);
  const follow = () =>
    accountId === undefined ? () => undefined : parts.accounts.follow(accountId);
  const lastEventId = request.headers.get("last-event-id");
  return openNotices(app, parts.broker, { caller, topics, lastEventId, follow });
}
