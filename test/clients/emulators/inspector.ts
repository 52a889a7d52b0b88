import { type Emulator, byRegistration, usual } from "./emulator.ts";
import { publicClient } from "./proof.ts";

const redirectUri = "http://localhost:6274/oauth/callback";

/** MCP Inspector with `protocolEra` auto. */
export const inspector: Emulator = {
  ...usual,
  name: "MCP Inspector",
  registrations: [
    byRegistration(
      {
        client_name: "MCP Inspector",
        client_uri: "https://github.com/modelcontextprotocol/inspector",
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        scope: "mcp:read mcp:call mcp:resources",
      },
      publicClient,
    ),
  ],
  redirectUri,
  asks: { scope: "mcp:read mcp:call mcp:resources" },
  isModern: true,
};
