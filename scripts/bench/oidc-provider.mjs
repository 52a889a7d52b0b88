/**
 * node-oidc-provider at its best: one process, everything in memory, one confidential client, signed JWT access tokens
 * for the one resource there is. It is JavaScript because Node runs it too; the process ends with its parent.
 *
 *   node|bun oidc-provider.mjs <client-id> <client-secret> EdDSA|ES256
 */
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [clientId, clientSecret, algorithm] = process.argv.slice(2);
if (clientSecret === undefined || (algorithm !== "EdDSA" && algorithm !== "ES256")) {
  throw new Error("usage: oidc-provider.mjs <client-id> <client-secret> EdDSA|ES256");
}

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, configuration(`${issuer}/mcp`));
  server.on("request", provider.callback());
  process.on("disconnect", () => process.exit(0));
  process.send({ url: `${issuer}/token` });
});

function configuration(resource) {
  const resourceServer = {
    scope: "",
    audience: resource,
    accessTokenTTL: 3600,
    accessTokenFormat: "jwt",
    jwt: { sign: { alg: algorithm } },
  };
  return {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: "client_secret_basic",
      },
    ],
    clientDefaults: { id_token_signed_response_alg: algorithm },
    enabledJWA: { idTokenSigningAlgValues: [algorithm] },
    jwks: { keys: [privateKey()] },
    ttl: { ClientCredentials: 3600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => resourceServer,
      },
    },
  };
}

function privateKey() {
  const pair =
    algorithm === "EdDSA"
      ? generateKeyPairSync("ed25519")
      : generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { ...pair.privateKey.export({ format: "jwk" }), alg: algorithm, use: "sig", kid: "bench" };
}
