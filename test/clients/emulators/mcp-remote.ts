import { type Emulator, byRegistration, usual } from "./emulator.ts";
import { publicClient } from "./proof.ts";

const redirectUri = "http://localhost:3334/oauth/callback";

/** The bridge for clients that speak stdio alone. */
export const mcpRemote: Emulator = {
  ...usual,
  name: "mcp-remote",
  registrations: [
    byRegistration(
      {
        client_name: "MCP CLI Proxy",
        client_uri: "https://github.com/geelen/mcp-remote",
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        software_id: "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d",
        software_version: "0.15.1",
        application_type: "native",
        scope: "openid email profile",
        logo_uri: null,
      },
      publicClient,
    ),
  ],
  redirectUri,
  asks: { scope: "openid email profile" },
  repeatsScope: true,
  legacy: "2025-03-26",
};
