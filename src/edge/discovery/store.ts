import { and, desc, eq, gt, inArray, notInArray, sql } from "drizzle-orm";
import type { Database } from "#db/open.ts";
import { peers, sightings } from "#db/schema/edge.ts";

export type DiscoveredPeer = typeof sightings.$inferSelect;

/** What a node has met and not yet forgotten, the newest first. */
export function sightingsOf(db: Database, of: string, now: Date): Promise<DiscoveredPeer[]> {
  return db
    .select()
    .from(sightings)
    .where(and(eq(sightings.of, of), gt(sightings.expiresAt, now)))
    .orderBy(desc(sightings.seenAt))
    .limit(mostSightings);
}

export const mostSightings = 256;
/** How long a node that was met is known. */
export const sightingMs = 5 * 60_000;

/**
 * Writes down what was met; of more than 256 the oldest go, but nobody about whom something was decided. Where a
 * peer has proven itself stands in its own row, and is tried before what somebody announces.
 */
export async function saveSightings(db: Database, met: readonly DiscoveredPeer[]): Promise<void> {
  const [first] = met;
  if (first === undefined) return;
  const taken = (column: string) => sql.raw(`excluded.${column}`);
  await db
    .insert(sightings)
    // In one order: replicas hear the same, and wait for each other instead of for ever.
    .values(met.toSorted((a, b) => (a.peerId < b.peerId ? -1 : 1)))
    .onConflictDoUpdate({
      target: [sightings.of, sightings.peerId],
      set: {
        addresses: taken("addresses"),
        name: taken("name"),
        via: taken("via"),
        version: sql`coalesce(${taken("version")}, ${sightings.version})`,
        seenAt: taken("seen_at"),
        expiresAt: taken("expires_at"),
      },
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
