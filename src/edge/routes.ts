import { millisecondsOf } from "#src/clock.ts";
import { originSeenBy } from "#src/oauth-server/resource.ts";
import type { Scope } from "#src/oauth-server/scopes.ts";
import { clientOf } from "#src/oauth-server/clients/find-client.ts";
import { clientCredentials } from "#src/oauth-server/grants/token.ts";
import { wantedResource } from "#src/oauth-server/grants/authorization-request.ts";
import type { GrantDeps } from "#src/oauth-server/grants/deps.ts";
import { topicsOfCaller } from "#src/policy/plan.ts";
import { bearerOf } from "#src/proxy/auth.ts";
import type { McpDeps } from "#src/proxy/routes.ts";
import { objectIn } from "#src/json.ts";
import { Failure } from "#src/failure.ts";
import { readBounded } from "#src/http/body.ts";
import { createFloodGate } from "#src/http/flood-gate.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { isOperators } from "./node-routes.ts";
import { createChallenges, useOnceIn } from "./peers/challenges.ts";
import { connectPeer } from "./peers/connect.ts";
import { challengePath, responsePath } from "./peers/handshake.ts";
import type { Self } from "./self.ts";
import type { Peer } from "./peers/store.ts";
import { peerIdOf, trusted } from "./peers/trust.ts";
import type { DiscoveryBackend } from "./discovery/backend.ts";
import { peerViews, connectionView } from "./discovery/view.ts";

export type DiscoveryDeps = McpDeps & GrantDeps;

/** From one address. */
const [perMinute, burst] = [60, 30];
const mostBytes = 24 * 1024;

const noStore = { headers: { "cache-control": "no-store" } };

/** `/discovery/…`: challenges, which any node may begin; the rest is for agents of the operator. */
export function mountDiscovery(
  routes: PageRoutes,
  app: DiscoveryDeps,
  { self, backends, certificate }: Mounted,
): void {
  const of = self.node.peerId;
  const now = millisecondsOf(app);
  const gate = createFloodGate({ perMinute, burst, now });
  const { bindingKey } = app;
  const challenges = createChallenges(self, { bindingKey, useOnce: useOnceIn(app) });

  routes.post(challengePath, async ({ req, env }) => {
    gate.pass(env.address());
    const place = { origin: originSeenBy(app, req.raw), certificate: certificate?.() ?? null };
    return Response.json(challenges.begin(await bodyOf(req.raw), place), noStore);
  });
  routes.post(responsePath, async ({ req, env }) => {
    gate.pass(env.address());
    const proven = await challenges.finish(await bodyOf(req.raw));
    const peer = await trusted(app, of, proven);
    const { nodeId, peerId } = proven.identity;
    app.log.info("peer_proven", { nodeId, peerId, trust: peer?.trust ?? "none" });
    const token = peer === undefined ? undefined : await tokenFor(app, peer);
    return Response.json({ trusted: peer !== undefined, ...(token && { token }) }, noStore);
  });
  routes.get("/discovery/peers", async ({ req }) => {
    await operatorOf(app, req.raw, "mcp:read");
    return Response.json({ peers: await peerViews(app, of) }, noStore);
  });
  routes.get("/discovery/announce", async ({ req, env }) => {
    await operatorOf(app, req.raw, "mcp:call");
    gate.pass(env.address());
    for (const backend of backends) backend.announce();
    const by = backends.map(({ name }) => name);
    return Response.json({ node_id: self.node.nodeId, announced_by: by }, noStore);
  });
  routes.post("/discovery/connect/:peer_id", async ({ req, env }) => {
    await operatorOf(app, req.raw, "mcp:call");
    gate.pass(env.address());
    const peerId = await peerIdOf(app, of, req.param("peer_id"));
    const connect = () => connectPeer(app, self, { peerId });
    const connected = await connect().catch(async (error: unknown) => {
      // Nobody has met it yet: perhaps somebody in the DHT has.
      const isUnknown = error instanceof Failure && error.code === "peer_unknown";
      if (!isUnknown || !(await seek(backends, peerId))) throw error;
      return await connect();
    });
    return Response.json(connectionView(connected), noStore);
  });
}

async function seek(backends: readonly DiscoveryBackend[], peerId: string): Promise<boolean> {
  const sought = backends.map(async (each) => (await each.seek?.(peerId)) === true);
  return (await Promise.all(sought)).includes(true);
}

type Mounted = {
  readonly self: Self;
  readonly backends: readonly DiscoveryBackend[];
  /** SHA-256 in hex of the certificate that this process shows. */
  readonly certificate: (() => string) | undefined;
};

/** Failures: those of `bearerOf`, and `insufficient_scope`. */
async function operatorOf(app: DiscoveryDeps, request: Request, scope: Scope): Promise<void> {
  const upstream = app.catalog.upstreams.get("node");
  if (upstream === undefined) throw new Failure("not_found");
  const caller = await bearerOf(app, request.headers.get("authorization"), upstream);
  app.switches.check(topicsOfCaller(caller, upstream));
  if (!isOperators(caller)) throw new Failure("operator_agents_only");
  if (!caller.allowed.has(scope)) {
    throw new Failure("insufficient_scope", `This needs the scope ${scope}`, { scope });
  }
}

/** What a trusted node may do here; undefined when there is nothing. */
async function tokenFor(app: DiscoveryDeps, peer: Peer) {
  if (peer.clientId === null) return undefined;
  const client = await clientOf(app, peer.clientId);
  try {
    const given = await clientCredentials(app, { client, form: new URLSearchParams() });
    const { access_token, expires_in, scope } = given;
    return { access_token, expires_in, scope, resource: wantedResource(app, client, []).url };
  } catch (error) {
    // The default upstream needs an account that nobody gave it.
    if (error instanceof Failure && error.code === "invalid_target") return undefined;
    throw error;
  }
}

async function bodyOf(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const text = Buffer.from(await readBounded(request, mostBytes)).toString("utf8");
  const body = objectIn(text);
  if (body === undefined) throw new Failure("body_unreadable");
  return body;
}
