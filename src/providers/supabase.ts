import type { Provider } from "./provider.ts";

export const supabase: Provider = {
  name: "supabase",
  title: "Supabase",
  endpoints: {
    authorize: "https://api.supabase.com/v1/oauth/authorize",
    token: "https://api.supabase.com/v1/oauth/token",
    identity: "https://api.supabase.com/v1/organizations",
  },
  clientAuthentication: "basic",
  pkce: "required",
  scopes: [],
  // Supabase names no user: the organization that granted access is the owner.
  identity: {
    from: "call",
    idField: "0.id",
    labelField: "0.name",
    needs: "organizations:read",
    isShared: true,
  },
  refresh: { singleUse: true, defaultAccessSeconds: 86_400 },
  // The words of its management API for a refresh token that was revoked.
  errors: [{ status: 404, text: "refresh token not found", means: "dead" }],
  staticKeys: { prefixes: ["sbp_"] },
};
