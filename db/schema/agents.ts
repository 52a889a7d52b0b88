import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { accounts } from "./accounts.ts";
import { bytes, moment } from "./columns.ts";
import { people } from "./people.ts";

/** An opaque bearer that a person minted for an agent; kept only as a fingerprint. */
export const sessions = pgTable(
  "sessions",
  {
    id: uuid("id").primaryKey(),
    personId: uuid("person_id")
      .notNull()
      .references(() => people.id, { onDelete: "cascade" }),
    accountId: uuid("account_id")
      .notNull()
      .references(() => accounts.id, { onDelete: "cascade" }),
    platform: text("platform"),
    tokenFingerprint: bytes("token_fingerprint").notNull().unique(),
    createdAt: moment("created_at").notNull().defaultNow(),
    expiresAt: moment("expires_at").notNull(),
    endedAt: moment("ended_at"),
  },
  (table) => [
    index("sessions_person").on(table.personId),
    index("sessions_account").on(table.accountId),
  ],
);

/** OAuth clients that are kept here: registered by themselves (RFC 7591) or by the operator. */
export const agents = pgTable(
  "agents",
  {
    id: uuid("id").primaryKey(),
    clientId: text("client_id").notNull().unique(),
    kind: text("kind", { enum: ["dynamic", "operator"] }).notNull(),
    name: text("name").notNull(),
    redirectUris: text("redirect_uris").array().notNull(),
    grantTypes: text("grant_types").array().notNull(),
    authMethod: text("auth_method", { enum: ["none", "secret", "private_key_jwt"] }).notNull(),
    secretFingerprint: bytes("secret_fingerprint"),
    jwks: jsonb("jwks").$type<Readonly<Record<string, unknown>>>(),
    jwksUri: text("jwks_uri"),
    /** Scopes it gets when it asks for none, and the most it can get; separated by spaces. */
    scope: text("scope").notNull(),
    agentType: text("agent_type"),
    agentVersion: text("agent_version"),
    /** Upstreams it may ask for; null means every one. */
    upstreams: text("upstreams").array(),
    /** The account it acts on by itself (client credentials). */
    accountId: uuid("account_id").references(() => accounts.id, { onDelete: "cascade" }),
    createdAt: moment("created_at").notNull().defaultNow(),
    /** When it first got a token. */
    usedAt: moment("used_at"),
  },
  (table) => [
    index("agents_account").on(table.accountId),
    index("agents_unused")
      .on(table.createdAt)
      .where(sql`${table.usedAt} is null and ${table.kind} = 'dynamic'`),
    check("agents_kind", sql`${table.kind} in ('dynamic', 'operator')`),
    check(
      "agents_secret",
      sql`(${table.authMethod} = 'secret') = (${table.secretFingerprint} is not null)`,
    ),
  ],
);

/** What a person allowed an agent. Counts from the moment its code is redeemed. */
export const grants = pgTable(
  "grants",
  {
    id: uuid("id").primaryKey(),
    personId: uuid("person_id")
      .notNull()
      .references(() => people.id, { onDelete: "cascade" }),
    accountId: uuid("account_id")
      .notNull()
      .references(() => accounts.id, { onDelete: "cascade" }),
    clientId: text("client_id").notNull(),
    clientName: text("client_name").notNull(),
    redirectHost: text("redirect_host"),
    upstream: text("upstream").notNull(),
    resource: text("resource").notNull(),
    scope: text("scope").notNull(),
    /** Only tools that say they change nothing. */
    onlyReading: boolean("only_reading").notNull().default(false),
    /** What policy hangs on, whichever of a person's grants for the same it is (`policyIdOf`). */
    policyId: uuid("policy_id")
      .notNull()
      .generatedAlwaysAs(
        sql`md5(person_id::text || '|' || account_id::text || '|' || upstream || '|' || client_id)::uuid`,
      ),
    createdAt: moment("created_at").notNull().defaultNow(),
    activatedAt: moment("activated_at"),
    /** When it ends by its person's word, without anybody's doing; absent where they have not said. */
    expiresAt: moment("expires_at"),
    endedAt: moment("ended_at"),
  },
  (table) => [
    index("grants_expiry")
      .on(table.expiresAt)
      .where(sql`${table.endedAt} is null`),
    index("grants_person").on(table.personId),
    index("grants_account").on(table.accountId),
    index("grants_client").on(table.clientId),
    index("grants_policy").on(table.policyId),
    index("grants_not_begun")
      .on(table.createdAt)
      .where(sql`${table.activatedAt} is null`),
  ],
);

/** Authorization codes: five minutes, once. A used one is kept so that its replay is noticed. */
export const authorizationCodes = pgTable(
  "authorization_codes",
  {
    fingerprint: bytes("fingerprint").primaryKey(),
    grantId: uuid("grant_id")
      .notNull()
      .references(() => grants.id, { onDelete: "cascade" }),
    redirectUri: text("redirect_uri").notNull(),
    challenge: text("challenge").notNull(),
    expiresAt: moment("expires_at").notNull(),
    usedAt: moment("used_at"),
  },
  (table) => [
    index("authorization_codes_expiry").on(table.expiresAt),
    index("authorization_codes_grant").on(table.grantId),
  ],
);

/** Refresh tokens of a grant, each with the one it replaced. */
export const refreshTokens = pgTable(
  "refresh_tokens",
  {
    fingerprint: bytes("fingerprint").primaryKey(),
    grantId: uuid("grant_id")
      .notNull()
      .references(() => grants.id, { onDelete: "cascade" }),
    predecessor: bytes("predecessor").unique(),
    createdAt: moment("created_at").notNull().defaultNow(),
    expiresAt: moment("expires_at").notNull(),
    /** When it was first exchanged for its successor. */
    rotatedAt: moment("rotated_at"),
  },
  (table) => [
    index("refresh_tokens_grant").on(table.grantId),
    index("refresh_tokens_expiry").on(table.expiresAt),
  ],
);

/** Device authorizations (RFC 8628): fifteen minutes. */
export const deviceCodes = pgTable(
  "device_codes",
  {
    id: uuid("id").primaryKey(),
    deviceFingerprint: bytes("device_fingerprint").notNull().unique(),
    userFingerprint: bytes("user_fingerprint").notNull().unique(),
    clientId: text("client_id").notNull(),
    resource: text("resource").notNull(),
    scope: text("scope").notNull(),
    state: text("state", { enum: ["pending", "approved", "denied", "used"] })
      .notNull()
      .default("pending"),
    grantId: uuid("grant_id").references(() => grants.id, { onDelete: "cascade" }),
    intervalSeconds: integer("interval_seconds").notNull(),
    polledAt: moment("polled_at"),
    expiresAt: moment("expires_at").notNull(),
  },
  (table) => [
    index("device_codes_expiry").on(table.expiresAt),
    index("device_codes_grant").on(table.grantId),
    check("device_codes_state", sql`${table.state} in ('pending', 'approved', 'denied', 'used')`),
  ],
);

/** The last answer a person gave to a client; holds only while nothing in it changes. */
export const consents = pgTable(
  "consents",
  {
    personId: uuid("person_id")
      .notNull()
      .references(() => people.id, { onDelete: "cascade" }),
    clientId: text("client_id").notNull(),
    upstream: text("upstream").notNull(),
    accountId: uuid("account_id")
      .notNull()
      .references(() => accounts.id, { onDelete: "cascade" }),
    redirectHost: text("redirect_host").notNull(),
    scope: text("scope").notNull(),
    onlyReading: boolean("only_reading").notNull().default(false),
    /** What the client said about itself then: name, redirect URIs, keys. */
    clientFingerprint: bytes("client_fingerprint").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.personId, table.clientId, table.upstream] }),
    index("consents_account").on(table.accountId),
  ],
);

/** Assertions that clients have authenticated with (RFC 7523): each works once. */
export const usedAssertions = pgTable(
  "used_assertions",
  { fingerprint: bytes("fingerprint").primaryKey(), expiresAt: moment("expires_at").notNull() },
  (table) => [index("used_assertions_expiry").on(table.expiresAt)],
);

/** The keys that sign access tokens. At most one is next and one current for each algorithm. */
export const signingKeys = pgTable(
  "signing_keys",
  {
    id: uuid("id").primaryKey(),
    algorithm: text("algorithm", { enum: ["EdDSA", "ES256"] }).notNull(),
    state: text("state", { enum: ["next", "current", "previous"] }).notNull(),
    publicJwk: jsonb("public_jwk").$type<Readonly<Record<string, unknown>>>().notNull(),
    privateJwk: bytes("private_jwk").notNull(),
    createdAt: moment("created_at").notNull().defaultNow(),
    /** When it stopped signing. */
    replacedAt: moment("replaced_at"),
  },
  (table) => [
    uniqueIndex("signing_keys_one_of_each")
      .on(table.algorithm, table.state)
      .where(sql`${table.state} <> 'previous'`),
    check("signing_keys_state", sql`${table.state} in ('next', 'current', 'previous')`),
  ],
);

/** What has just ended (`grant:ID`, `session:ID`, `agent:ID`, `token:JTI`), so that every replica lets go of it. */
export const endings = pgTable(
  "endings",
  {
    id: uuid("id").primaryKey().defaultRandom(),
    subject: text("subject").notNull(),
    at: moment("at")
      .notNull()
      .default(sql`clock_timestamp()`),
  },
  (table) => [index("endings_at").on(table.at), index("endings_subject").on(table.subject)],
);
