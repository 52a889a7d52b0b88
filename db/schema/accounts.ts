import { sql } from "drizzle-orm";
import { check, index, integer, pgTable, text, uniqueIndex, uuid } from "drizzle-orm/pg-core";
import { bytes, moment } from "./columns.ts";
import { people } from "./people.ts";

/**
 * One person's connection at one provider.
 * `generation` grows with every credential that is stored: it is the fencing token of a refresh.
 */
export const accounts = pgTable(
  "accounts",
  {
    id: uuid("id").primaryKey(),
    personId: uuid("person_id")
      .notNull()
      .references(() => people.id, { onDelete: "cascade" }),
    provider: text("provider").notNull(),
    sellerId: text("seller_id").notNull(),
    label: text("label"),
    site: text("site"),
    kind: text("kind", { enum: ["oauth", "static"] }).notNull(),
    state: text("state", { enum: ["active", "reconnect_required", "revoked"] }).notNull(),
    generation: integer("generation").notNull().default(1),
    accessToken: bytes("access_token").notNull(),
    refreshToken: bytes("refresh_token"),
    scope: text("scope"),
    accessExpiresAt: moment("access_expires_at"),
    refreshExpiresAt: moment("refresh_expires_at"),
    leaseHolder: uuid("lease_holder"),
    leaseUntil: moment("lease_until"),
    failures: integer("failures").notNull().default(0),
    retryAt: moment("retry_at"),
    lastError: text("last_error"),
    createdAt: moment("created_at").notNull().defaultNow(),
    updatedAt: moment("updated_at").notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex("accounts_one_live_per_seller")
      .on(table.provider, table.sellerId)
      .where(sql`${table.state} <> 'revoked'`),
    index("accounts_person").on(table.personId),
    index("accounts_due").on(table.accessExpiresAt),
    check("accounts_kind", sql`${table.kind} in ('oauth', 'static')`),
    check("accounts_state", sql`${table.state} in ('active', 'reconnect_required', 'revoked')`),
    check(
      "accounts_oauth_has_refresh_token",
      sql`${table.kind} <> 'oauth' or ${table.refreshToken} is not null`,
    ),
  ],
);

/** What happened when a credential was renewed. Never holds a token. */
export const refreshEvents = pgTable(
  "refresh_events",
  {
    id: uuid("id").primaryKey(),
    accountId: uuid("account_id")
      .notNull()
      .references(() => accounts.id, { onDelete: "cascade" }),
    event: text("event", { enum: ["refresh_start", "refresh_success", "refresh_fail"] }).notNull(),
    generation: integer("generation").notNull(),
    requestId: text("request_id").notNull(),
    code: text("code"),
    providerStatus: integer("provider_status"),
    at: moment("at").notNull().defaultNow(),
  },
  (table) => [index("refresh_events_account").on(table.accountId, table.at)],
);
