import { type Emulator, byRegistration, usual } from "./emulator.ts";
import { publicClient } from "./proof.ts";

const redirectUri = "http://localhost:41237/oauth/callback";

/** Nightlies refuse an answer without iss. */
export const geminiCli: Emulator = {
  ...usual,
  name: "Gemini CLI",
  registrations: [
    byRegistration(
      {
        client_name: "Gemini CLI MCP Client",
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        scope: "",
      },
      publicClient,
    ),
  ],
  redirectUri,
  insistsOn: ["iss in the answer"],
  legacy: "2025-06-18",
};
