import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { accounts } from "./accounts.ts";
import { endings } from "./agents.ts";
import { moment } from "./columns.ts";

/** What the operator has switched off, for every replica, until it is switched on again. */
export const switches = pgTable("switches", {
  /** `all`, `upstream:NAME`, `provider:NAME`, `account:ID`, `agent:CLIENT_ID`, `tool:UPSTREAM/NAME`, `grant:ID` or `session:ID`. */
  subject: text("subject").primaryKey(),
  reason: text("reason"),
  /** `operator`, `console:NAME`, or `guard` where an agent went round in circles. */
  by: text("by").notNull().default("operator"),
  at: moment("at").notNull().defaultNow(),
});

/** Work that one of all replicas and commands does at a time, and when it was last done. */
export const tasks = pgTable("tasks", {
  name: text("name").primaryKey(),
  takenBy: uuid("taken_by"),
  takenUntil: moment("taken_until"),
  doneAt: moment("done_at"),
  /** What it did, in numbers. */
  outcome: jsonb("outcome").$type<Readonly<Record<string, number>>>(),
});

/** What happened in one process and others have to know: what alerts are made of beside the other tables. */
export const events = pgTable(
  "events",
  {
    id: uuid("id").primaryKey(),
    at: moment("at").notNull().defaultNow(),
    name: text("name").notNull(),
    /** What it happened to; never a secret. */
    subject: text("subject").notNull(),
    count: integer("count").notNull().default(1),
  },
  (table) => [index("events_name").on(table.name, table.at)],
);

/**
 * The gateways that run: one row each, written every second. The table is not logged: after a crash of the
 * database it is empty, and full again a second later.
 */
export const replicas = pgTable("replicas", {
  id: uuid("id").primaryKey(),
  seenAt: moment("seen_at")
    .notNull()
    .default(sql`clock_timestamp()`),
});

/** Which gateway has acted upon which topic. Not logged either. */
export const acknowledgements = pgTable(
  "acknowledgements",
  {
    endingId: uuid("ending_id")
      .notNull()
      .references(() => endings.id, { onDelete: "cascade" }),
    replica: uuid("replica").notNull(),
    /** Open streams that it has closed for it. */
    streams: integer("streams").notNull(),
  },
  (table) => [primaryKey({ columns: [table.endingId, table.replica] })],
);

/** Conditions that an operator is told about; one row for each thing that is or was wrong. */
export const alerts = pgTable(
  "alerts",
  {
    kind: text("kind").notNull(),
    subject: text("subject").notNull(),
    state: text("state", { enum: ["firing", "resolved"] }).notNull(),
    summary: text("summary").notNull(),
    firedAt: moment("fired_at").notNull().defaultNow(),
    seenAt: moment("seen_at").notNull().defaultNow(),
    /** The last message about it: what it said and when. */
    told: text("told", { enum: ["firing", "resolved"] }),
    toldAt: moment("told_at"),
    messageId: uuid("message_id"),
    /** Sinks that have not taken the last message yet. */
    pending: text("pending").array().notNull().default([]),
    tries: integer("tries").notNull().default(0),
    /** Somebody is sending it until then. */
    sendingUntil: moment("sending_until"),
    /** Who has seen it; void when it fires anew. */
    acknowledgedAt: moment("acknowledged_at"),
    acknowledgedBy: text("acknowledged_by"),
  },
  (table) => [
    primaryKey({ columns: [table.kind, table.subject] }),
    check("alerts_state", sql`${table.state} in ('firing', 'resolved')`),
  ],
);

/** Credentials that were taken over from another store: each once, however often the import runs. */
export const imports = pgTable(
  "imports",
  {
    source: text("source").notNull(),
    objectId: text("object_id").notNull(),
    accountId: uuid("account_id").references(() => accounts.id, { onDelete: "set null" }),
    outcome: text("outcome", { enum: ["pending", "imported", "stale", "known"] }).notNull(),
    at: moment("at").notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.source, table.objectId] }),
    index("imports_account").on(table.accountId),
  ],
);

/** What a tool sends once only, such as an answer to a buyer: written before it is sent. Holds no text, only its hash. */
export const toolWrites = pgTable(
  "tool_writes",
  {
    pack: text("pack").notNull(),
    /** Of the account, at its provider. */
    seller: text("seller").notNull(),
    tool: text("tool").notNull(),
    /** SHA-256 of the arguments. */
    about: text("about").notNull(),
    /** `sent` until it is known how it ended. */
    state: text("state", { enum: ["sent", "done", "refused"] })
      .notNull()
      .default("sent"),
    at: moment("at").notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.pack, table.seller, table.tool, table.about] })],
);

/** What was changed on the operator's console, and by whom. */
export const operatorActions = pgTable(
  "operator_actions",
  {
    id: uuid("id").primaryKey(),
    at: moment("at").notNull().defaultNow(),
    /** Of the console's link: who it was made for. */
    actor: text("actor").notNull(),
    action: text("action").notNull(),
    /** What it was done to; never a secret. */
    about: text("about").notNull(),
    /** `done`, or the code of what went wrong; absent while it is being done, and where its gateway has ended meanwhile. */
    outcome: text("outcome"),
  },
  (table) => [index("operator_actions_at").on(table.at)],
);

/** What `smartdash check` has found, the newest fifty; written when it begins and again when it ends. */
export const checkReports = pgTable("check_reports", {
  id: uuid("id").primaryKey(),
  at: moment("at").notNull().defaultNow(),
  /** `operator`, or `console:NAME`. */
  by: text("by").notNull(),
  /** Absent while it runs, and where nobody was left to say that it has ended. */
  endedAt: moment("ended_at"),
  /** `whole` where no option left anything out that is usually looked at. */
  extent: text("extent", { enum: ["whole", "part"] }),
  status: text("status", { enum: ["pass", "warn", "fail"] }),
  /** How many results there are of each status. */
  counts: jsonb("counts").$type<Readonly<Record<string, number>>>(),
  /** The signed report as `check --json` prints it; absent while it runs, and where it has ended without one. */
  report: text("report"),
});
