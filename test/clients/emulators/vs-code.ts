import { type Emulator, byDocument, usual } from "./emulator.ts";
import { publicClient } from "./proof.ts";

/** The slash at the end is part of the redirect URI. */
export const vsCode: Emulator = {
  ...usual,
  name: "VS Code",
  registrations: [byDocument("https://vscode.dev/oauth/client-metadata.json", publicClient)],
  redirectUri: "http://127.0.0.1:33418/",
  asks: { scope: "mcp:read mcp:call mcp:resources" },
  metadata: "openid-configuration",
};

/** microsoft/vscode#278512. */
export const vsCodeOnAnotherPort: Emulator = {
  ...vsCode,
  name: "VS Code on another port",
  redirectUri: "http://127.0.0.1:60123/",
};

export const vsCodeOnTheWeb: Emulator = {
  ...vsCode,
  name: "VS Code through vscode.dev",
  redirectUri: "https://vscode.dev/redirect",
};
