import {
  bigint,
  check,
  date,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uuid,
} from "drizzle-orm/pg-core";
import { sql } from "drizzle-orm";
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
  (table) => [
    index("calls_person_id").on(table.personId, table.id),
    index("calls_at").on(table.at),
  ],
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

/**
 * How many calls there were, for charts: by minute and by hour for each upstream, by day for each agent and account.
 * Counted with the rows of `calls`, in the same transaction; what is not stored is not counted.
 */
export const callCounts = pgTable(
  "call_counts",
  {
    span: text("span", { enum: ["minute", "hour", "day"] }).notNull(),
    /** When the minute, the hour or the day (UTC) began. */
    slot: moment("slot").notNull(),
    upstream: text("upstream").notNull(),
    /** `grant:ID`, `session:ID` or `agent:ID`; empty where all callers are counted together. */
    caller: text("caller").notNull(),
    /** The account's id; empty where it does not matter, or there is none. */
    account: text("account").notNull(),
    /** What a guard said; empty where none had anything to say. */
    guard: text("guard").notNull(),
    calls: integer("calls").notNull(),
    /** Those that ended with a failure that was no guard's. */
    failed: integer("failed").notNull(),
    /** How many took so long: see `durationBounds`. */
    durations: integer("durations").array().notNull(),
  },
  (table) => [
    primaryKey({
      columns: [table.span, table.slot, table.upstream, table.caller, table.account, table.guard],
    }),
    index("call_counts_caller").on(table.caller, table.slot),
    check("call_counts_span", sql`${table.span} in ('minute', 'hour', 'day')`),
  ],
);
