import type { Provider } from "./provider.ts";

export const airtable: Provider = {
  name: "airtable",
  title: "Airtable",
  issuer: "https://airtable.com/oauth2/v1",
  endpoints: {
    authorize: "https://airtable.com/oauth2/v1/authorize",
    token: "https://airtable.com/oauth2/v1/token",
    identity: "https://api.airtable.com/v0/meta/whoami",
  },
  clientAuthentication: "basic_if_secret",
  pkce: "required",
  scopes: ["data.records:read", "data.records:write", "schema.bases:read"],
  identity: { from: "call", idField: "id", labelField: "email" },
  refresh: {
    singleUse: true,
    endsOldAccessToken: true,
    defaultAccessSeconds: 3600,
    refreshTokenDays: 60,
    expiresInField: "refresh_expires_in",
  },
  // "You recently refreshed": the one concession Airtable makes to a race.
  errors: [{ status: 409, means: "just_refreshed" }],
  callLimits: [
    { per: { argument: "baseId" }, calls: 5, seconds: 1, penaltySeconds: 30 },
    { per: "account", calls: 50, seconds: 1, penaltySeconds: 30 },
  ],
  limitWords: ["RATE_LIMIT_REACHED"],
  // Its authorization server names no revocation endpoint.
  revocation: { how: "by_hand", url: "https://airtable.com/account" },
  staticKeys: { prefixes: ["pat"], retiredPrefixes: ["key"] },
};
