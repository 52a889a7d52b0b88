import { type Emulator, byRegistration, usual } from "./emulator.ts";
import { publicClient } from "./proof.ts";

/** Registers all of its redirect URIs at once, whichever it uses. */
export const cursor: Emulator = {
  ...usual,
  name: "Cursor",
  registrations: [
    byRegistration(
      {
        client_name: "Cursor",
        redirect_uris: [
          "http://localhost:8787/callback",
          "cursor://anysphere.cursor-mcp/oauth/callback",
          "https://www.cursor.com/agents/mcp/oauth/callback",
        ],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
      },
      publicClient,
    ),
  ],
  redirectUri: "http://localhost:8787/callback",
  namesResource: { authorize: true, code: true, refresh: false },
};

/** Before July 2026. */
export const formerCursor: Emulator = {
  ...cursor,
  name: "Cursor with its own scheme",
  redirectUri: "cursor://anysphere.cursor-mcp/oauth/callback",
  namesResource: { authorize: false, code: false, refresh: false },
};
