import type { App } from "#src/app.ts";
import { createCache, databasePatienceMs, withoutDatabaseMs } from "#src/cache.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import type { Pin } from "#src/http/exchange.ts";
import { createSingleFlight } from "#src/single-flight.ts";
import { timely, millisecondsOf } from "#src/clock.ts";
import { connectPeer } from "./connect.ts";
import type { Self } from "../self.ts";
import { peersNamed } from "./store.ts";
import { identityOfPeer } from "../identity.ts";
import { discoveredOf } from "../discovery/store.ts";

type Named = { readonly peerId: string; readonly nodeId: string };

/** What stands between us and a trusted node: both have proven themselves, and it has given us a token. */
export type PeerSession = {
  readonly peerId: string;
  /** Its MCP address. */
  readonly url: string;
  readonly token: Secret;
  readonly pin: Pin;
  readonly endsAt: number;
};

export type PeerSessions = {
  /**
   * The session with a trusted node, begun anew when there is none or `refused` is the one there is.
   * Failures: `node_unknown`, `peer_not_trusted`, and those of `connectPeer`.
   */
  with(nodeId: string, refused?: PeerSession): Promise<PeerSession>;
  /**
   * The node id of whoever has this name and is trusted, or may yet prove to be of our fleet; undefined when that is
   * nobody, or several. Failures: `database_unavailable`.
   */
  nodeIdOf(name: string): Promise<string | undefined>;
  /** Forgets everything that was known of this peer. */
  forget(peerId: string): void;
  /** It leads nowhere any more: the next one begins anew. */
  drop(session: PeerSession): void;
};

const size = 256;
const quietMs = 3000;
const leewayMs = 60_000;

/** One for a node; what is known serves for a minute while the database is away. */
export function createPeerTokens(
  app: Pick<App, "db" | "now" | "catalog">,
  self: Self,
): PeerSessions {
  const now = millisecondsOf(app);
  const peers = createCache<Named>({
    freshMs: 2000,
    staleMs: withoutDatabaseMs,
    patienceMs: databasePatienceMs,
    size,
    now,
  });
  // Of its own: what the gateway waits for when it stops is a credential, not a node.
  const once = createSingleFlight();
  const sessions = createCache<PeerSession>({ freshMs: 3_600_000, staleMs: 0, size, now });
  /** A node that does not answer is not asked with each call. */
  const failed = createCache<Failure>({ freshMs: quietMs, staleMs: 0, size, now });

  const peerNamed = (nodeId: string) => peers.get(nodeId, () => findPeer(app, self, nodeId));

  async function begin(peer: Named): Promise<PeerSession> {
    const known = failed.fresh(peer.peerId);
    if (known !== undefined) throw known;
    try {
      const session = await beginSession(app, self, peer);
      sessions.put(peer.peerId, session);
      return session;
    } catch (error) {
      if (error instanceof Failure) failed.put(peer.peerId, error);
      throw error;
    }
  }

  return {
    async with(nodeId, refused) {
      const peer = await peerNamed(nodeId);
      if (peer === undefined) throw new Failure("node_unknown");
      const known = sessions.fresh(peer.peerId);
      if (known !== undefined && known !== refused && now() < known.endsAt) return known;
      return await once(peer.peerId, () => begin(peer));
    },
    nodeIdOf: async (name) => (await peerNamed(name))?.nodeId,
    drop(session) {
      if (sessions.last(session.peerId) === session) sessions.forget(session.peerId);
    },
    forget(peerId) {
      sessions.forget(peerId);
      failed.forget(peerId);
      peers.forgetWhere((peer) => peer.peerId === peerId);
    },
  };
}

/** Whom the operator trusts; with a fleet key also whom we have met, who still has to show that it has the key. */
async function findPeer(
  app: Pick<App, "db" | "now">,
  self: Self,
  called: string,
): Promise<Named | undefined> {
  const of = self.node.peerId;
  // A node id follows from a peer id, and is shorter: another node may have the same.
  const name = identityOfPeer(called)?.nodeId ?? called;
  const isMeant = ({ peerId }: Named) => name === called || peerId === called;
  const decided = await timely(peersNamed(app.db, of, name));
  const [peer, second] = decided.filter((each) => each.trust !== "forgotten" && isMeant(each));
  if (peer !== undefined) return second === undefined ? peer : undefined;
  if (self.fleetKey === undefined) return undefined;
  const met = await timely(discoveredOf(app.db, of, app.now()));
  const known = new Set(decided.map(({ peerId }) => peerId));
  const [only, other] = met.filter(
    (each) =>
      (each.nodeId === name || each.name === name) && isMeant(each) && !known.has(each.peerId),
  );
  return other === undefined ? only : undefined;
}

async function beginSession(
  app: Pick<App, "db" | "now" | "catalog">,
  self: Self,
  { peerId, nodeId }: Named,
): Promise<PeerSession> {
  const { isTrusted, result, pin } = await connectPeer(app, self, { peerId });
  const { token } = result;
  if (!isTrusted || !result.isTrusted || token === undefined) {
    throw new Failure("peer_not_trusted", whyNot(nodeId, isTrusted, result.isTrusted));
  }
  return {
    peerId,
    url: token.url,
    token: token.value,
    pin,
    endsAt: app.now().getTime() + token.endsInS * 1000 - leewayMs,
  };
}

function whyNot(nodeId: string, isTrusted: boolean, isTrusting: boolean): string {
  if (!isTrusted) return `${nodeId} is not trusted here`;
  return isTrusting
    ? `${nodeId} has no MCP address for this node`
    : `${nodeId} does not trust this node: smartdash peers trust, there`;
}
