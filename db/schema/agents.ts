import { index, pgTable, text, uuid } from "drizzle-orm/pg-core";
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
