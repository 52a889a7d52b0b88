import { type SQL, and, asc, eq, ne, or, sql } from "drizzle-orm";
import { type Topic, publish } from "#db/topics.ts";
import type { Database } from "#db/open.ts";
import { agents } from "#db/schema/agents.ts";
import { peers, discoveredPeers } from "#db/schema/edge.ts";
import type { NewAgent } from "#src/oauth-server/clients/store.ts";

export type Peer = typeof peers.$inferSelect & {
  readonly clientId: string | null;
  readonly scope: string | null;
  readonly upstreams: readonly string[] | null;
};

const withAgent = {
  of: peers.of,
  peerId: peers.peerId,
  nodeId: peers.nodeId,
  name: peers.name,
  trust: peers.trust,
  address: peers.address,
  provenAddress: peers.provenAddress,
  fleetTag: peers.fleetTag,
  certificate: peers.certificate,
  agentId: peers.agentId,
  since: peers.since,
  provenAt: peers.provenAt,
  proofs: peers.proofs,
  failures: peers.failures,
  clientId: agents.clientId,
  scope: agents.scope,
  upstreams: agents.upstreams,
};

/** What ends when `of` trusts a peer no more, or anew. */
export function peerTopic(of: string, peerId: string): Topic {
  return `peer:${of}/${peerId}`;
}

/** Everybody that this node has decided about. */
export function peersOf(db: Database, of: string): Promise<Peer[]> {
  return db
    .select(withAgent)
    .from(peers)
    .leftJoin(agents, eq(agents.id, peers.agentId))
    .where(eq(peers.of, of))
    .orderBy(asc(peers.nodeId));
}

/** What this node has decided about a peer. */
export async function peerOf(db: Database, of: string, peerId: string): Promise<Peer | undefined> {
  const [row] = await db
    .select(withAgent)
    .from(peers)
    .leftJoin(agents, eq(agents.id, peers.agentId))
    .where(and(eq(peers.of, of), eq(peers.peerId, peerId)));
  return row;
}

/** By the name for people, which two of them could share. */
export function peersNamed(db: Database, of: string, name: string): Promise<Peer[]> {
  return db
    .select(withAgent)
    .from(peers)
    .leftJoin(agents, eq(agents.id, peers.agentId))
    .where(and(eq(peers.of, of), or(eq(peers.nodeId, name), eq(peers.name, name))))
    .limit(mostNamesakes);
}

const mostNamesakes = 8;

type PeerDeps = Pick<Peer, "of" | "peerId" | "nodeId" | "address" | "certificate" | "fleetTag"> & {
  readonly trust: "pinned" | "fleet";
  /** What it may do here from now on. */
  readonly agent: NewAgent;
};

/**
 * Trusts a peer; what it held before ends. With `fleet` nothing is changed of what an operator has decided.
 * Returns whether it is trusted as asked for.
 */
export async function saveTrust(db: Database, trusting: PeerDeps): Promise<boolean> {
  const { agent, ...wanted } = trusting;
  return await db.transaction(async (transaction) => {
    // Two handshakes of one newcomer at a time: the second finds the row of the first.
    const lock = `${wanted.of}/${wanted.peerId}`;
    await transaction.execute(sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 7))`);
    const [before] = await transaction
      .select({ agentId: peers.agentId, trust: peers.trust })
      .from(peers)
      .where(and(eq(peers.of, wanted.of), eq(peers.peerId, wanted.peerId)));
    if (wanted.trust === "fleet" && before !== undefined) return before.trust !== "forgotten";
    await transaction.insert(agents).values(agent);
    const row = { ...wanted, agentId: agent.id };
    await transaction
      .insert(peers)
      .values(row)
      .onConflictDoUpdate({
        target: [peers.of, peers.peerId],
        set: { ...row, since: sql`now()` },
      });
    await endAgents(transaction, before?.agentId ?? undefined);
    // Whom the fleet key lets in for the first time has nothing that could end; its first call is under way.
    const isTold = before !== undefined || wanted.trust === "pinned";
    if (isTold) await publish(transaction, [peerTopic(wanted.of, wanted.peerId)]);
    return true;
  });
}

/** Trusts it no more, whatever it shows; false when nothing was decided about it. */
export async function forgetTrust(db: Database, of: string, peerId: string): Promise<boolean> {
  return await db.transaction(async (transaction) => {
    const which = and(eq(peers.of, of), eq(peers.peerId, peerId));
    const [before] = await transaction
      .select({ agentId: peers.agentId })
      .from(peers)
      .where(which)
      .for("update");
    if (before === undefined) return false;
    await transaction
      .update(peers)
      .set({ trust: "forgotten", agentId: null, since: sql`now()` })
      .where(which);
    await endAgents(transaction, before.agentId ?? undefined);
    await publish(transaction, [peerTopic(of, peerId)]);
    return true;
  });
}

/** What a node that has another key by now had decided and met; whom it had let in is let go of. Returns how many. */
export async function forgetNode(db: Database, of: string): Promise<number> {
  await db.delete(discoveredPeers).where(eq(discoveredPeers.of, of));
  return await forgetWhere(db, eq(peers.of, of));
}

/** Whom another fleet key than this one had let in. Returns how many. */
export async function forgetFleet(db: Database, of: string, fleetTag: string): Promise<number> {
  const isOther = ne(sql`coalesce(${peers.fleetTag}, '')`, fleetTag);
  return await forgetWhere(db, and(eq(peers.of, of), eq(peers.trust, "fleet"), isOther));
}

async function forgetWhere(db: Database, which: SQL | undefined): Promise<number> {
  return await db.transaction(async (transaction) => {
    const rows = await transaction
      .delete(peers)
      .where(which)
      .returning({ of: peers.of, peerId: peers.peerId, agentId: peers.agentId });
    for (const { of, peerId, agentId } of rows) {
      await endAgents(transaction, agentId ?? undefined);
      await publish(transaction, [peerTopic(of, peerId)]);
    }
    return rows.length;
  });
}

async function endAgents(
  db: Pick<Database, "delete" | "execute">,
  id: string | undefined,
): Promise<void> {
  if (id === undefined) return;
  await db.delete(agents).where(eq(agents.id, id));
  await publish(db, [`agent:${id}`]);
}

/** Counts a challenge that went well, and where; or one that did not. */
export async function noteChallenge(
  db: Database,
  met: {
    readonly of: string;
    readonly peerId: string;
    readonly isProven: boolean;
    /** Of the node that was asked; undefined where it has asked us. */
    readonly address?: string | undefined;
    /** What it said that its operator calls it. */
    readonly name?: string | undefined;
  },
): Promise<void> {
  const { of, peerId, isProven, address, name = null } = met;
  const place = address === undefined ? {} : { provenAddress: address, name };
  await db
    .update(peers)
    .set(
      isProven
        ? { proofs: sql`${peers.proofs} + 1`, provenAt: sql`now()`, ...place }
        : { failures: sql`${peers.failures} + 1` },
    )
    .where(and(eq(peers.of, of), eq(peers.peerId, peerId)));
}
