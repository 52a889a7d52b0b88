// Written by scripts/embed.ts after drizzle-kit; a test compares it with the folder.
import sql0 from "./0000_first.sql" with { type: "text" };

export const migrations = [
  { name: "0000_first", sql: sql0 },
] as const;
