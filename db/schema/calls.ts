import { index, integer, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { moment } from "./columns.ts";
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
  },
  (table) => [index("calls_person").on(table.personId), index("calls_at").on(table.at)],
);
