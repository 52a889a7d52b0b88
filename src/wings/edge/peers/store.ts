import { and, asc, desc, eq, gt, inArray, notInArray, sql } from "drizzle-orm";
import { recordEndings } from "#db/endings.ts";
import type { Database } from "#db/open.ts";
import { agents } from "#db/schema/agents.ts";
import { peers, sightings } from "#db/schema/edge.ts";
import type { NewAgent } from "#src/agents/clients/store.ts";

export type Peer = typeof peers.$inferSelect & {
  readonly clientId: string | null;
  readonly scope: string | null;
  readonly upstreams: readonly string[] | null;
};
export type Sighting = typeof sightings.$inferSelect;

const withAgent = {
  of: peers.of,
  peerId: peers.peerId,
  nodeId: peers.nodeId,
  trust: peers.trust,
  address: peers.address,
  provenAddress: peers.provenAddress,
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
export function peerSubject(of: string, peerId: string): string {
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

export async function peerOf(db: Database, of: string, peerId: string): Promise<Peer | undefined> {
  const [row] = await db
    .select(withAgent)
    .from(peers)
    .leftJoin(agents, eq(agents.id, peers.agentId))
    .where(and(eq(peers.of, of), eq(peers.peerId, peerId)));
  return row;
}

/** By the name for people, which two of them could share. */
export function peersNamed(db: Database, of: string, nodeId: string): Promise<Peer[]> {
  return db
    .select(withAgent)
    .from(peers)
    .leftJoin(agents, eq(agents.id, peers.agentId))
    .where(and(eq(peers.of, of), eq(peers.nodeId, nodeId)))
    .limit(mostNamesakes);
}

const mostNamesakes = 8;

export type Trusting = Pick<Peer, "of" | "peerId" | "nodeId" | "address" | "certificate"> & {
  readonly trust: "pinned" | "fleet";
  /** What it may do here from now on. */
  readonly agent: NewAgent;
};

/**
 * Trusts a peer; what it held before ends. With `fleet` nothing is changed of what an operator has decided.
 * Returns whether it is trusted as asked for.
 */
export async function saveTrust(db: Database, trusting: Trusting): Promise<boolean> {
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
    await recordEndings(transaction, [peerSubject(wanted.of, wanted.peerId)]);
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
    await recordEndings(transaction, [peerSubject(of, peerId)]);
    return true;
  });
}

/** What a node that has another key by now had decided and met; whom it had let in is let go of. Returns how many. */
export async function forgetNode(db: Database, of: string): Promise<number> {
  return await db.transaction(async (transaction) => {
    await transaction.delete(sightings).where(eq(sightings.of, of));
    const rows = await transaction
      .delete(peers)
      .where(eq(peers.of, of))
      .returning({ peerId: peers.peerId, agentId: peers.agentId });
    for (const { peerId, agentId } of rows) {
      await endAgents(transaction, agentId ?? undefined);
      await recordEndings(transaction, [peerSubject(of, peerId)]);
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
  await recordEndings(db, [`agent:${id}`]);
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
  },
): Promise<void> {
  const { of, peerId, isProven, address } = met;
  const place = address === undefined ? {} : { provenAddress: address };
  await db
    .update(peers)
    .set(
      isProven
        ? { proofs: sql`${peers.proofs} + 1`, provenAt: sql`now()`, ...place }
        : { failures: sql`${peers.failures} + 1` },
    )
    .where(and(eq(peers.of, of), eq(peers.peerId, peerId)));
}

/** What a node has met and not yet forgotten, the newest first. */
export function sightingsOf(db: Database, of: string, now: Date): Promise<Sighting[]> {
  return db
    .select()
    .from(sightings)
    .where(and(eq(sightings.of, of), gt(sightings.expiresAt, now)))
    .orderBy(desc(sightings.seenAt))
    .limit(mostSightings);
}

export const mostSightings = 256;

/**
 * Writes down what was met; of more than 256 the oldest go, but nobody about whom something was decided. What a
 * node has proven is not replaced by what somebody announces.
 */
export async function saveSightings(db: Database, met: readonly Sighting[]): Promise<void> {
  const [first] = met;
  if (first === undefined) return;
  const taken = (column: string) => sql.raw(`excluded.${column}`);
  await db
    .insert(sightings)
    .values([...met])
    .onConflictDoUpdate({
      target: [sightings.of, sightings.peerId],
      set: {
        addresses: taken("addresses"),
        via: taken("via"),
        version: sql`coalesce(${taken("version")}, ${sightings.version})`,
        document: sql`coalesce(${taken("document")}, ${sightings.document})`,
        seenAt: taken("seen_at"),
        expiresAt: taken("expires_at"),
      },
      setWhere: sql`${sightings.via} <> 'challenge' or ${taken("via")} = 'challenge' or ${sightings.expiresAt} < now()`,
    });
  const kept = db
    .select({ peerId: sightings.peerId })
    .from(sightings)
    .where(eq(sightings.of, first.of))
    .orderBy(desc(sightings.seenAt))
    .limit(mostSightings);
  await db
    .delete(sightings)
    .where(
      and(
        eq(sightings.of, first.of),
        notInArray(sightings.peerId, kept),
        notInArray(sightings.peerId, decided(db, first.of)),
      ),
    );
}

function decided(db: Database, of: string) {
  return db.select({ peerId: peers.peerId }).from(peers).where(eq(peers.of, of));
}

/** What was said goodbye to on the local network, by whomever: not what was proven or decided about. */
export async function dropSightings(
  db: Database,
  of: string,
  peerIds: readonly string[],
): Promise<void> {
  if (peerIds.length === 0) return;
  await db
    .delete(sightings)
    .where(
      and(
        eq(sightings.of, of),
        inArray(sightings.peerId, [...peerIds]),
        eq(sightings.via, "mdns"),
        notInArray(sightings.peerId, decided(db, of)),
      ),
    );
}
