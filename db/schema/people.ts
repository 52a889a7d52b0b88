import { index, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { bytes, moment } from "./columns.ts";

/** A human with a browser. Known only through the provider accounts they have proven to hold. */
export const people = pgTable("people", {
  id: uuid("id").primaryKey(),
  createdAt: moment("created_at").notNull().defaultNow(),
});

/** A browser in which a person is signed in; the cookie is kept only as a fingerprint. */
export const signIns = pgTable(
  "sign_ins",
  {
    id: uuid("id").primaryKey(),
    personId: uuid("person_id")
      .notNull()
      .references(() => people.id, { onDelete: "cascade" }),
    cookieFingerprint: bytes("cookie_fingerprint").notNull().unique(),
    createdAt: moment("created_at").notNull().defaultNow(),
    expiresAt: moment("expires_at").notNull(),
  },
  (table) => [index("sign_ins_person").on(table.personId)],
);

/** A browser on its way to a provider and back. Lives 15 minutes, is taken once. */
export const connectAttempts = pgTable(
  "connect_attempts",
  {
    id: uuid("id").primaryKey(),
    stateFingerprint: bytes("state_fingerprint").notNull().unique(),
    browserFingerprint: bytes("browser_fingerprint").notNull(),
    provider: text("provider").notNull(),
    site: text("site"),
    platform: text("platform"),
    callbackPath: text("callback_path").notNull(),
    personId: uuid("person_id").references(() => people.id, { onDelete: "cascade" }),
    expectedSellerId: text("expected_seller_id"),
    /** Where the person goes on afterwards: an address of our own. */
    continueTo: text("continue_to"),
    verifierSealed: bytes("verifier_sealed").notNull(),
    createdAt: moment("created_at").notNull().defaultNow(),
    expiresAt: moment("expires_at").notNull(),
  },
  (table) => [
    index("connect_attempts_expiry").on(table.expiresAt),
    index("connect_attempts_person").on(table.personId),
  ],
);

/** One-time invitations of the operator. */
export const invites = pgTable("invites", {
  id: uuid("id").primaryKey(),
  fingerprint: bytes("fingerprint").notNull().unique(),
  createdAt: moment("created_at").notNull().defaultNow(),
  expiresAt: moment("expires_at").notNull(),
  usedAt: moment("used_at"),
});
