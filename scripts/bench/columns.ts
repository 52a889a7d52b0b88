import { titles } from "./targets.ts";

/** Everything that has a column in one of the tables: the targets, the issuers of tokens, bearers, tokens, moments. */
export const columnTitles = {
  ...titles,
  oidcNode: "oidc-provider, Node",
  oidcBun: "oidc-provider, Bun",
  issuer: "gateway",
  session: "session",
  jwt: "JWT",
  proxied: "proxied to an MCP server",
  pack: "a tool over an API",
  live: "live tokens",
  dying: "1 in 100 tokens is dead",
  before: "before",
  restarted: "PostgreSQL restarts",
  away: "PostgreSQL away for 12 s",
  after: "after",
} as const;
export type Column = keyof typeof columnTitles;
