import { type Emulator, byRegistration, usual } from "./emulator.ts";
import { publicClient } from "./proof.ts";

const redirectUri = "https://antigravity.google/oauth-callback";

/** A hosted page shows the code, and the person pastes it some minutes later. */
export const antigravity: Emulator = {
  ...usual,
  name: "Antigravity",
  registrations: [
    byRegistration(
      {
        client_name: "Google Antigravity",
        redirect_uris: [redirectUri],
        // It asks for no refresh token and uses the one it gets (antigravity-cli#1038).
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
      publicClient,
    ),
  ],
  redirectUri,
  namesResource: { authorize: true, code: false, refresh: false },
  minutesUntilCode: 4,
};
