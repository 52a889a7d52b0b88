import { type Emulator, byDocument, byRegistration, usual } from "./emulator.ts";
import { publicClient, secretInBody } from "./proof.ts";

/** claude.ai, Desktop, mobile, Cowork: a document where documents are taken, else a confidential client. */
export const claude: Emulator = {
  ...usual,
  name: "Claude",
  registrations: [
    byDocument("https://claude.ai/oauth/mcp-oauth-client-metadata", publicClient),
    byRegistration(
      {
        client_name: "Claude",
        client_uri: "https://claude.ai",
        redirect_uris: [
          "https://claude.ai/api/mcp/auth_callback",
          "https://claude.com/api/mcp/auth_callback",
        ],
        grant_types: [
          "authorization_code",
          "refresh_token",
          "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ],
        response_types: ["code"],
        scope: "mcp offline_access",
        application_type: "web",
        contacts: [],
      },
      secretInBody,
    ),
  ],
  redirectUri: "https://claude.ai/api/mcp/auth_callback",
  asks: { scope: "mcp offline_access", prompt: "consent" },
};

/** Looks for the modern protocol first. */
export const claudeCode: Emulator = {
  ...usual,
  name: "Claude Code",
  registrations: [
    byDocument("https://claude.ai/oauth/claude-code-client-metadata", publicClient),
    byRegistration(
      {
        client_name: "Claude Code",
        redirect_uris: ["http://localhost:54545/callback"],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        scope: "mcp offline_access",
        application_type: "native",
      },
      publicClient,
    ),
  ],
  redirectUri: "http://localhost:54545/callback",
  asks: { scope: "mcp:read mcp:call mcp:resources offline_access", prompt: "consent" },
  repeatsScope: true,
  isModern: true,
};
