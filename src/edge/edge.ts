import type { Topic } from "#db/topics.ts";
import type { App } from "#src/app.ts";
import type { DatabaseWatch } from "#src/telemetry/database-health.ts";
import { Failure } from "#src/failure.ts";
import { type Exchange, type OutgoingRequest, discard } from "#src/http/exchange.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import type { ConsoleDeps } from "#src/pages/console/deps.ts";
import { endsWithin, timely } from "#src/clock.ts";
import { version } from "#src/runtime/runtime.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { type Capabilities, type CapabilityDocument, capabilitiesOf } from "./capabilities.ts";
import { type Directory, createDirectory } from "./discovery/directory.ts";
import type { DiscoveryBackend } from "./discovery/backend.ts";
import { type DiscoveryDeps, mountDiscovery } from "./routes.ts";
import { peerViews } from "./discovery/view.ts";
import { mountPeersRoom } from "./console.ts";
import { followEdgeTopics, tellAccount } from "./revocations.ts";
import { type OwnNode, ownNode } from "./identity.ts";
import { askInside, exchangeInside } from "./in-process.ts";
import { createLogTail } from "./log-tail.ts";
import { mountNode } from "./node-routes.ts";
import { type OwnFacts, createOwnServer } from "./node-server.ts";
import { ownResources, ownTools } from "./own-tools.ts";
import type { Self } from "./self.ts";
import { forgetFleet } from "./peers/store.ts";
import { fleetTagOf } from "./peers/transcript.ts";
import { type PeerSession, type PeerSessions, createPeerTokens } from "./peers/peer-tokens.ts";
import { watchAccounts } from "./stream/account-states.ts";
import { createBroker } from "./stream/stream.ts";

export type EdgeDeps = DiscoveryDeps & {
  readonly databaseWatch: DatabaseWatch;
  /** SHA-256 in hex of the certificate that this process shows; undefined without TLS. */
  readonly certificate: (() => string) | undefined;
  readonly port: number;
};

/** The edge extension of a serving gateway. */
export type Edge = {
  /** With the node itself and the nodes behind it as MCP servers. */
  readonly exchange: Exchange;
  mount(routes: PageRoutes, app: DiscoveryDeps & ConsoleDeps): void;
  /** What has ended or changed, as all replicas are told. */
  hear(topics: readonly Topic[]): void;
  stop(): Promise<void>;
};

/** Failures: `home_unusable`. A network that cannot be used is logged, and everything else goes on. */
export async function openEdge(app: EdgeDeps): Promise<Edge> {
  const node = ownNode(app);
  app.log.info("edge_node", { nodeId: node.nodeId, peerId: node.peerId });
  const startedAt = app.now().getTime();
  let backends: readonly DiscoveryBackend[] = [];
  const listenAddresses = () => backends.flatMap((each) => each.addresses?.() ?? []);
  const document = signedNow(app, node, () => ({
    startedAt,
    listenAddresses: listenAddresses(),
  }));
  const { fleetKey } = app.config.edge;
  const fleetTag = fleetKey === undefined ? "none" : fleetTagOf(fleetKey);
  const left = await timely(forgetFleet(app.db, node.peerId, fleetTag));
  if (left > 0) app.log.warn("fleet_key_changed", { forgotten: left });
  const self: Self = { node, fleetKey, document, now: app.now };
  const broker = createBroker(app.replica.slice(0, 8));
  const directory = createDirectory(app, node);
  backends = await openBackends(app, { node, directory, document });
  const sessions = createPeerTokens(app, self);
  const accounts = watchAccounts(app, (accountId, state) => tellAccount(broker, accountId, state));
  const server = createOwnServer(factsOf(app, node, startedAt));
  const exchange = exchangeInside(app.exchange, async (name, request) =>
    name === "node"
      ? await askInside(server, request)
      : await askPeer(app, sessions, name, request),
  );
  return {
    exchange,
    mount(routes, serving) {
      mountNode(routes, serving, {
        nodeId: node.nodeId,
        alias: app.config.edge.name,
        capabilities: document,
        sessions,
        broker,
        accounts,
      });
      mountPeersRoom(routes, serving, node.peerId);
      mountDiscovery(routes, serving, { self, backends, certificate: app.certificate });
    },
    hear: followEdgeTopics(app, { of: node.peerId, broker, sessions, backends }),
    stop: async () => {
      accounts.stop();
      const ending = Promise.all([...backends.map((each) => each.stop()), server.close()]);
      await endsWithin(ending, longestStopMs);
      await directory.flush();
    },
  };
}

const [saidForMs, longestStopMs] = [5000, 2000];

/** Anybody may ask: it is signed every few seconds, not each time. */
function signedNow(
  app: Pick<App, "now" | "publicUrl" | "config">,
  node: OwnNode,
  facts: () => Pick<Capabilities, "startedAt" | "listenAddresses">,
): () => CapabilityDocument {
  const sign = () =>
    capabilitiesOf(app, node, {
      ...facts(),
      name: app.config.edge.name,
      tools: ownTools,
      resources: ownResources,
    });
  let said: { readonly at: number; readonly document: CapabilityDocument } | undefined;
  return () => {
    const at = app.now().getTime();
    if (said === undefined || at - said.at >= saidForMs) said = { at, document: sign() };
    return said.document;
  };
}

type FoundPeer = {
  readonly node: OwnNode;
  readonly directory: Directory;
  readonly document: () => CapabilityDocument;
};

/** What is not asked for is not even loaded. */
async function openBackends(
  app: EdgeDeps,
  { node, directory, document }: FoundPeer,
): Promise<readonly DiscoveryBackend[]> {
  const { discovery, listen, bootstrap, interface: only } = app.config.edge;
  const { publicUrl, port } = app;
  const { home } = app.config;
  const backends: DiscoveryBackend[] = [];
  const start = async (name: DiscoveryBackend["name"], open: () => Promise<DiscoveryBackend>) => {
    if (!discovery.has(name)) return;
    try {
      backends.push(await open());
    } catch (error) {
      const reason = error instanceof Failure ? error.message : undefined;
      const about = name === "mdns" ? { interface: only } : { listen: listen.join(",") };
      app.log.error("discovery_not_started", { name, ...about, reason, ...errorFields(error) });
    }
  };
  await start("mdns", async () => {
    const { openMdns } = await import("./discovery/mdns.ts");
    const announced = { publicUrl, port, name: app.config.edge.name };
    return openMdns(app, node, { directory, interface: only, announced });
  });
  await start("libp2p", async () => {
    const { openDht } = await import("./discovery/dht.ts");
    return await openDht(app, node, { directory, document, listen, bootstrap, home });
  });
  return backends;
}

function factsOf(app: EdgeDeps, node: OwnNode, startedAt: number): OwnFacts {
  return {
    logs: createLogTail(app.log),
    peers: async () => ({ peers: await peerViews(app, node.peerId) }),
    status: async () => {
      const { status, code } = await app.databaseWatch.look();
      return {
        node_id: node.nodeId,
        peer_id: node.peerId,
        version: version.number,
        uptime: Math.floor((app.now().getTime() - startedAt) / 1000),
        database: { status, code },
        open_streams: app.openStreams.count(),
        upstreams: [...app.catalog.upstreams.keys()],
      };
    },
  };
}

/** An exchange with a trusted node; where it refuses the token, both prove themselves anew, once. */
async function askPeer(
  app: EdgeDeps,
  sessions: PeerSessions,
  name: string,
  request: OutgoingRequest,
) {
  const send = async (session: PeerSession) => {
    const { url, token, pin } = session;
    const headers = { ...request.headers, authorization: `Bearer ${token.reveal()}` };
    try {
      return await app.exchange({ ...request, url, headers, pin });
    } catch (error) {
      // It may have moved: whoever comes next looks for it anew.
      if (!request.cancel.isCancelled) sessions.drop(session);
      throw error;
    }
  };
  const session = await sessions.with(name);
  const answer = await send(session);
  if (answer.status !== 401) return answer;
  discard(answer);
  return await send(await sessions.with(name, session));
}
