import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  doublePrecision,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uuid,
} from "drizzle-orm/pg-core";
import { bytes, moment } from "./columns.ts";
import { people } from "./people.ts";

/** What all replicas have counted together: limits, budgets, loops. Short-lived, and nothing breaks without it. */
export const tallies = pgTable(
  "tallies",
  {
    key: text("key").primaryKey(),
    /** Of a rate: when it is empty again, in milliseconds since 1970. Of a budget: how many calls were made. */
    level: doublePrecision("level").notNull(),
    /** Of a budget: how many calls may be made. */
    most: integer("most"),
    expiresAt: moment("expires_at").notNull(),
  },
  (table) => [
    index("tallies_expiry").on(table.expiresAt),
    index("tallies_budgets")
      .on(table.expiresAt)
      .where(sql`${table.most} is not null`),
  ],
);

/** Every definition of a tool that an upstream has shown: what agents may see is the approved ones. */
export const toolDefinitions = pgTable(
  "tool_definitions",
  {
    upstream: text("upstream").notNull(),
    name: text("name").notNull(),
    /** SHA-256 of the canonical definition, in hex. */
    hash: text("hash").notNull(),
    /** As JSON. */
    definition: text("definition").notNull(),
    /** What its annotations say it does. */
    nature: text("nature", { enum: ["reading", "writing", "unknown", "destructive"] }).notNull(),
    state: text("state", { enum: ["approved", "held"] }).notNull(),
    seenAt: moment("seen_at").notNull().defaultNow(),
    decidedAt: moment("decided_at"),
    /** `first_use`, `setting`, or who did it. */
    decidedBy: text("decided_by"),
  },
  (table) => [
    primaryKey({ columns: [table.upstream, table.name, table.hash] }),
    check("tool_definitions_state", sql`${table.state} in ('approved', 'held')`),
  ],
);

/** When an upstream's list of tools was first seen, and whether to its end. */
export const toolLists = pgTable("tool_lists", {
  upstream: text("upstream").primaryKey(),
  firstSeenAt: moment("first_seen_at").notNull().defaultNow(),
  isComplete: boolean("is_complete").notNull().default(false),
});

/** What lets a browser at the operator's console: a link from the command line, then a cookie. */
export const reviewKeys = pgTable("review_keys", {
  fingerprint: bytes("fingerprint").primaryKey(),
  /** `link` and `browser` are those of a version that knew no roles: they are not taken any more. */
  kind: text("kind", { enum: ["link", "browser", "console_link", "console_browser"] }).notNull(),
  /** What it may do there: everything, or only look. */
  role: text("role", { enum: ["operator", "auditor"] })
    .notNull()
    .default("auditor"),
  /** Who it is, for the audit trail. */
  subject: text("subject").notNull().default(""),
  expiresAt: moment("expires_at").notNull(),
});

/** Which tools an agent (`agent:CLIENT_ID`) or a permission (`grant:ID`, `session:ID`) may use, beside the upstream's own rules. */
export const toolPolicies = pgTable("tool_policies", {
  subject: text("subject").primaryKey(),
  /** Patterns; null allows every tool. */
  allow: text("allow").array(),
  deny: text("deny").array().notNull().default([]),
  approve: text("approve").array().notNull().default([]),
  at: moment("at").notNull().defaultNow(),
});

/** Calls that a person is, or was, asked about. The arguments are sealed, and erased when they are not needed any more. */
export const approvals = pgTable(
  "approvals",
  {
    id: uuid("id").primaryKey(),
    /** `grant:ID`, `session:ID` or `agent:ID`. */
    caller: text("caller").notNull(),
    /** Who may answer; without a person, the operator. */
    personId: uuid("person_id").references(() => people.id, { onDelete: "cascade" }),
    accountId: uuid("account_id"),
    agent: text("agent").notNull(),
    upstream: text("upstream").notNull(),
    tool: text("tool").notNull(),
    argumentsHash: text("arguments_hash").notNull(),
    arguments: bytes("arguments"),
    state: text("state", { enum: ["pending", "approved", "refused", "used"] })
      .notNull()
      .default("pending"),
    /** How long a yes holds. */
    extent: text("extent", { enum: ["once", "hour", "always"] }),
    createdAt: moment("created_at").notNull().defaultNow(),
    expiresAt: moment("expires_at").notNull(),
    decidedAt: moment("decided_at"),
    decidedBy: text("decided_by"),
  },
  (table) => [
    index("approvals_caller").on(table.caller, table.tool),
    index("approvals_person").on(table.personId),
    index("approvals_expiry").on(table.expiresAt),
    check("approvals_state", sql`${table.state} in ('pending', 'approved', 'refused', 'used')`),
    check("approvals_extent", sql`${table.extent} in ('once', 'hour', 'always')`),
  ],
);
