import { and, desc, eq, gt, inArray, notInArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { peers, discoveredPeers } from "#db/schema/edge.ts";

export type DiscoveredPeer = typeof discoveredPeers.$inferSelect;

/** What a node has met and not yet forgotten, the newest first. */
export function discoveredOf(db: Database, of: string, now: Date): Promise<DiscoveredPeer[]> {
  return db
    .select()
    .from(discoveredPeers)
    .where(and(eq(discoveredPeers.of, of), gt(discoveredPeers.expiresAt, now)))
    .orderBy(desc(discoveredPeers.seenAt))
    .limit(mostDiscovered);
}

export const mostDiscovered = 256;
/** How long a node that was met is known. */
export const discoveredMs = 5 * 60_000;

/**
 * Writes down what was met; of more than 256 the oldest go, but nobody about whom something was decided. Where a
 * peer has proven itself stands in its own row, and is tried before what somebody announces.
 */
export async function saveDiscovered(db: Database, met: readonly DiscoveredPeer[]): Promise<void> {
  const [first] = met;
  if (first === undefined) return;
  const taken = (column: string) => sql.raw(`excluded.${column}`);
  await db
    .insert(discoveredPeers)
    // In one order: replicas hear the same, and wait for each other instead of for ever.
    .values(met.toSorted((a, b) => (a.peerId < b.peerId ? -1 : 1)))
    .onConflictDoUpdate({
      target: [discoveredPeers.of, discoveredPeers.peerId],
      set: {
        addresses: taken("addresses"),
        name: taken("name"),
        via: taken("via"),
        version: sql`coalesce(${taken("version")}, ${discoveredPeers.version})`,
        seenAt: taken("seen_at"),
        expiresAt: taken("expires_at"),
      },
    });
  const kept = db
    .select({ peerId: discoveredPeers.peerId })
    .from(discoveredPeers)
    .where(eq(discoveredPeers.of, first.of))
    .orderBy(desc(discoveredPeers.seenAt))
    .limit(mostDiscovered);
  await db
    .delete(discoveredPeers)
    .where(
      and(
        eq(discoveredPeers.of, first.of),
        notInArray(discoveredPeers.peerId, kept),
        notInArray(discoveredPeers.peerId, decided(db, first.of)),
      ),
    );
}

function decided(db: Database, of: string) {
  return db.select({ peerId: peers.peerId }).from(peers).where(eq(peers.of, of));
}

/** What was said goodbye to on the local network, by whomever: not what was proven or decided about. */
export async function dropDiscovered(
  db: Database,
  of: string,
  peerIds: readonly string[],
): Promise<void> {
  if (peerIds.length === 0) return;
  await db
    .delete(discoveredPeers)
    .where(
      and(
        eq(discoveredPeers.of, of),
        inArray(discoveredPeers.peerId, [...peerIds]),
        eq(discoveredPeers.via, "mdns"),
        notInArray(discoveredPeers.peerId, decided(db, of)),
      ),
    );
}
