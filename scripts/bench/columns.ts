import { titles } from "./targets.ts";

/** Everything that has a column in one of the tables: the targets, the issuers of tokens and the two bearers. */
export const columnTitles = {
  ...titles,
  oidcNode: "oidc-provider, Node",
  oidcBun: "oidc-provider, Bun",
  issuer: "gateway",
  session: "session",
  jwt: "JWT",
} as const;
export type Column = keyof typeof columnTitles;
