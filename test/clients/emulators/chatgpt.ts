import { exportJWK, generateKeyPair } from "jose";
import { type Emulator, byDocument, usual } from "./emulator.ts";
import { publicClient, signedAssertion } from "./proof.ts";

const redirectUri = "https://chatgpt.com/connector_platform_oauth_redirect";

/** Takes its common document only where iss is announced; it proves nothing here. */
export const chatGpt: Emulator = {
  ...usual,
  name: "ChatGPT",
  registrations: [byDocument("https://chatgpt.com/oauth/client.json", publicClient)],
  redirectUri,
  asks: { scope: "mcp:read mcp:call" },
  insistsOn: ["iss announced for its document", "iss in the answer"],
  metadata: "openid-configuration",
};

/** The same with a key: its document and key set are served from this machine. */
export async function chatGptWithKeys(): Promise<
  AsyncDisposable & { readonly emulator: Emulator; readonly fetched: readonly string[] }
> {
  const fetched: string[] = [];
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const kid = "chatgpt-1";
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" };
  const serving = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const { origin, pathname } = new URL(request.url);
      fetched.push(pathname);
      if (pathname === "/jwks.json") return Response.json({ keys: [jwk] });
      return Response.json({
        client_id: `${origin}/client.json`,
        client_name: "ChatGPT",
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "private_key_jwt",
        token_endpoint_auth_signing_alg: "RS256",
        jwks_uri: `${origin}/jwks.json`,
      });
    },
  });
  const clientId = `http://127.0.0.1:${serving.port}/client.json`;
  const proof = signedAssertion({ privateKey, algorithm: "RS256", kid, audience: "tokenEndpoint" });
  const registrations = [byDocument(clientId, proof)];
  return {
    emulator: { ...chatGpt, name: "ChatGPT with its key", registrations },
    fetched,
    [Symbol.asyncDispose]: () => serving.stop(true),
  };
}
