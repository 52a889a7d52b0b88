import { sql } from "drizzle-orm";
import { check, index, integer, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { agents } from "./agents.ts";
import { moment } from "./columns.ts";

/** What the operator has decided about other nodes, for each node on this database. */
export const peers = pgTable(
  "peers",
  {
    /** The peer id of the node that decided. */
    of: text("of").notNull(),
    peerId: text("peer_id").notNull(),
    nodeId: text("node_id").notNull(),
    /** What its operator calls it, as it said when it proved itself. */
    name: text("name"),
    /** `pinned` by the operator, let in by the `fleet` key, or `forgotten`: not even the fleet key lets it in. */
    trust: text("trust", { enum: ["pinned", "fleet", "forgotten"] }).notNull(),
    /** Origin at which it is to be reached; null: wherever it is found. */
    address: text("address"),
    /** Which fleet key has let it in; says nothing about the key. */
    fleetTag: text("fleet_tag"),
    /** Where it has proven itself last. */
    provenAddress: text("proven_address"),
    /** SHA-256 of the certificate that it shows there, in hex; null: one that authorities vouch for. */
    certificate: text("certificate"),
    /** What it may do here; null when it may do nothing. */
    agentId: uuid("agent_id").references(() => agents.id, { onDelete: "set null" }),
    since: moment("since").notNull().defaultNow(),
    /** When both last proved to each other who they are. */
    provenAt: moment("proven_at"),
    proofs: integer("proofs").notNull().default(0),
    failures: integer("failures").notNull().default(0),
  },
  (table) => [
    primaryKey({ columns: [table.of, table.peerId] }),
    index("peers_agent").on(table.agentId),
    check("peers_trust", sql`${table.trust} in ('pinned', 'fleet', 'forgotten')`),
  ],
);

/** Nodes that were met on the network: hints, which nobody is trusted for. */
export const discoveredPeers = pgTable(
  "sightings",
  {
    of: text("of").notNull(),
    peerId: text("peer_id").notNull(),
    nodeId: text("node_id").notNull(),
    /** What its operator calls it. */
    name: text("name"),
    addresses: text("addresses").array().notNull(),
    /** How it was met. */
    via: text("via", { enum: ["mdns", "libp2p", "challenge"] }).notNull(),
    version: text("version"),
    seenAt: moment("seen_at").notNull(),
    expiresAt: moment("expires_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.of, table.peerId] }),
    index("sightings_expiry").on(table.expiresAt),
    check("sightings_via", sql`${table.via} in ('mdns', 'libp2p', 'challenge')`),
  ],
);
