import { bigint, date, index, integer, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { bytes, moment } from "./columns.ts";
import { people } from "./people.ts";

/** The audit trail of proxied MCP exchanges: who called what, never with which contents. */
export const calls = pgTable(
  "calls",
  {
    id: uuid("id").primaryKey(),
    at: moment("at").notNull(),
    /** Absent for an agent that acts for itself on an upstream that needs no account. */
    personId: uuid("person_id").references(() => people.id, { onDelete: "cascade" }),
    accountId: uuid("account_id"),
    sessionId: uuid("session_id"),
    grantId: uuid("grant_id"),
    agentId: uuid("agent_id"),
    requestId: text("request_id").notNull(),
    upstream: text("upstream").notNull(),
    httpMethod: text("http_method").notNull(),
    rpcMethod: text("rpc_method"),
    name: text("name"),
    status: integer("status").notNull(),
    upstreamStatus: integer("upstream_status"),
    durationMs: integer("duration_ms").notNull(),
    clientId: text("client_id"),
    /** Keyed hash of the canonical arguments of a tool call. */
    argumentsHash: text("arguments_hash"),
    /** What a guard said about it; absent where none had anything to say. */
    guard: text("guard"),
    /** The code of what went wrong; absent where it went well. */
    failure: text("failure"),
  },
  (table) => [index("calls_person").on(table.personId), index("calls_at").on(table.at)],
);

/** The chain of a day: each batch of calls with the digests of its rows, tied to the batch before it. */
export const callBatches = pgTable(
  "call_batches",
  {
    seq: bigint("seq", { mode: "number" }).primaryKey(),
    /** By UTC. */
    day: date("day", { mode: "string" }).notNull(),
    at: moment("at").notNull(),
    /** 32 bytes for each row, in the order of their ids. */
    digests: bytes("digests").notNull(),
    /** The link of the batch before it. */
    before: bytes("before"),
    /** HMAC-SHA-256 over the link before it and the digests. */
    link: bytes("link").notNull(),
  },
  (table) => [index("call_batches_day").on(table.day)],
);
