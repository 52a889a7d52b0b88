import { type Emulator, byDocument, byRegistration, usual } from "./emulator.ts";
import { publicClient } from "./proof.ts";

/** Leaves the resource out when it refreshes (openai/codex#33403). */
export const codex: Emulator = {
  ...usual,
  name: "Codex",
  typed: ({ port }) => `http://127.0.0.1:${port}/mcp/mercadolibre`,
  registrations: [
    byDocument("https://chatgpt.com/oauth/codex/client.json", publicClient),
    byRegistration(
      {
        client_name: "Codex",
        redirect_uris: ["http://127.0.0.1:49321/callback"],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
      },
      publicClient,
    ),
  ],
  redirectUri: "http://127.0.0.1:49321/callback",
  namesResource: { authorize: true, code: true, refresh: false },
  insistsOn: ["an authorization endpoint of the same origin, or iss announced"],
  legacy: "2025-06-18",
};
