import { customType, timestamp } from "drizzle-orm/pg-core";

/** Raw bytes: a sealed value or a SHA-256 fingerprint. */
export const bytes = customType<{ data: Uint8Array; driverData: Uint8Array }>({
  dataType: () => "bytea",
});

/** A moment, always with its time zone. */
export const moment = (name: string) => timestamp(name, { withTimezone: true, mode: "date" });
