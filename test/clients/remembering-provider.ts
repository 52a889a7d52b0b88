import type {
  OAuthClientProvider,
  OAuthDiscoveryState,
  OAuthTokens,
} from "@modelcontextprotocol/client";
import type { OAuthClientProvider as FormerProvider } from "@modelcontextprotocol/sdk/client/auth.js";

export type Remembering = {
  /** Where the SDK wanted to send the person, in the order of its wishes. */
  readonly sentTo: URL[];
  /** What it was given, newest last. */
  readonly tokens: OAuthTokens[];
  readonly clientIds: () => readonly string[];
  readonly state: string;
};

export const redirectUrl = "http://localhost:41999/callback";

const clientMetadata = {
  client_name: "SDK agent",
  redirect_uris: [redirectUrl],
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  token_endpoint_auth_method: "none",
};

/** A provider as a host would write one: everything the SDK hands over is kept in memory. */
export function rememberingProvider(
  options: { readonly clientMetadataUrl?: string } = {},
): Remembering & { readonly provider: OAuthClientProvider & FormerProvider } {
  const sentTo: URL[] = [];
  const tokens: OAuthTokens[] = [];
  const clients: { readonly client_id: string }[] = [];
  const state = crypto.randomUUID();
  let verifier = "";
  let found: OAuthDiscoveryState | undefined;
  const provider: OAuthClientProvider & FormerProvider = {
    ...options,
    redirectUrl,
    clientMetadata,
    state: () => state,
    clientInformation: () => clients.at(-1),
    saveClientInformation: (client) => void clients.push(client),
    tokens: () => tokens.at(-1),
    saveTokens: (given) => void tokens.push(given),
    redirectToAuthorization: (url) => void sentTo.push(url),
    saveCodeVerifier: (given) => void (verifier = given),
    codeVerifier: () => verifier,
    saveDiscoveryState: (given: OAuthDiscoveryState) => void (found = given),
    discoveryState: () => found,
  };
  return {
    sentTo,
    tokens,
    state,
    clientIds: () => clients.map(({ client_id }) => client_id),
    provider,
  };
}
