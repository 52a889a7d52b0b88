import type { Config } from "drizzle-kit";

export const settings: Config = {
  dialect: "postgresql",
  schema: "./db/schema",
  out: "./db/migrations",
};

// oxlint-disable-next-line import/no-default-export -- drizzle-kit reads the default export
export default settings;
