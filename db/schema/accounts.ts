import { sql } from "drizzle-orm";
import {
  check,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { bytes, moment } from "./columns.ts";
import { people } from "./people.ts";

/**
 * `ambiguous`: nobody knows whether the stored refresh token was used up; it is tried once more at most.
 * `revoking`: ended here, the provider has not confirmed yet.
 */
export const accountStates = [
  "active",
  "ambiguous",
  "reconnect_required",
  "revoking",
  "revoked",
] as const;

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
    state: text("state", { enum: accountStates }).notNull(),
    generation: integer("generation").notNull().default(1),
    accessToken: bytes("access_token").notNull(),
    refreshToken: bytes("refresh_token"),
    scope: text("scope"),
    accessExpiresAt: moment("access_expires_at"),
    refreshExpiresAt: moment("refresh_expires_at"),
    leaseHolder: uuid("lease_holder"),
    leaseUntil: moment("lease_until"),
    /** How often the provider was about to be asked for the successor of a generation, without an answer. */
    intents: integer("intents").notNull().default(0),
    /** Of which generation: whoever stores a newer one need not know of attempts (binaries before them do not). */
    intentGeneration: integer("intent_generation"),
    /** The journal in which an answer to the open attempt would be. */
    intentJournal: uuid("intent_journal"),
    failures: integer("failures").notNull().default(0),
    failingSince: moment("failing_since"),
    exhaustedAt: moment("exhausted_at"),
    retryAt: moment("retry_at"),
    lastError: text("last_error"),
    /** From here on the credential is renewed early. */
    refreshFrom: moment("refresh_from"),
    /** When the provider was last called only to keep an idle connection alive. */
    keptAliveAt: moment("kept_alive_at"),
    lapseWarnedAt: moment("lapse_warned_at"),
    createdAt: moment("created_at").notNull().defaultNow(),
    updatedAt: moment("updated_at").notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex("accounts_one_live_per_seller")
      .on(table.provider, table.sellerId)
      .where(sql`${table.state} <> 'revoked'`),
    index("accounts_person").on(table.personId),
    index("accounts_due").on(table.refreshFrom),
    index("accounts_intents")
      .on(table.intentJournal)
      .where(sql`${table.intents} > 0`),
    index("accounts_in_doubt")
      .on(table.state, table.lastError)
      .where(sql`${table.state} in ('ambiguous', 'reconnect_required', 'revoking')`),
    check("accounts_kind", sql`${table.kind} in ('oauth', 'static')`),
    check(
      "accounts_state",
      sql`${table.state} in ('active', 'ambiguous', 'reconnect_required', 'revoking', 'revoked')`,
    ),
    check(
      "accounts_oauth_has_refresh_token",
      // A connection may come without one, and is never due then; no refresh may lose it (`newLine` in src/accounts/store.ts).
      sql`${table.kind} <> 'oauth' or ${table.refreshToken} is not null
        or (${table.refreshFrom} is null and (${table.generation} = 1 or ${table.generation} % 100000 = 0))`,
    ),
  ],
);

export const refreshEventNames = [
  "refresh_start",
  "refresh_success",
  "refresh_fail",
  "refresh_recovered",
] as const;

/** What happened when a credential was renewed. Never holds a token. */
export const refreshEvents = pgTable(
  "refresh_events",
  {
    id: uuid("id").primaryKey(),
    accountId: uuid("account_id")
      .notNull()
      .references(() => accounts.id, { onDelete: "cascade" }),
    event: text("event", { enum: refreshEventNames }).notNull(),
    generation: integer("generation").notNull(),
    requestId: text("request_id").notNull(),
    code: text("code"),
    providerStatus: integer("provider_status"),
    at: moment("at").notNull().defaultNow(),
  },
  (table) => [
    index("refresh_events_account").on(table.accountId, table.at),
    index("refresh_events_at").on(table.at),
  ],
);

/** How a provider's token endpoint has been answering all of us. */
export const providerStates = pgTable("provider_states", {
  provider: text("provider").primaryKey(),
  /** Answers in a row that were none. */
  failures: integer("failures").notNull().default(0),
  /** Until then nobody asks; afterwards one asks first. */
  closedUntil: moment("closed_until"),
  probeUntil: moment("probe_until"),
  /** The provider refuses us as an application, registered like this. */
  refusedCode: text("refused_code"),
  refusedRegistration: text("refused_registration"),
});

/** As many rows as may ask a provider at the same time. */
export const providerSlots = pgTable(
  "provider_slots",
  {
    provider: text("provider").notNull(),
    slot: integer("slot").notNull(),
    holder: uuid("holder"),
    until: moment("until"),
  },
  (table) => [primaryKey({ columns: [table.provider, table.slot] })],
);
