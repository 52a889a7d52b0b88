import { exportJWK, generateKeyPair } from "jose";
import { addRobot } from "#test/support/robot.ts";
import { connectSeller, newVisitor } from "#test/support/browser-like.ts";
import type { World } from "#test/support/world.ts";
import { type Proof, secretInBody, secretInHeader, signedAssertion } from "./proof.ts";

/** A program that its operator wrote: client credentials, without any person. */
export type OwnScript = {
  readonly name: string;
  readonly makeProof: () => Promise<MadeProof>;
  readonly path: string;
  readonly encoding: "form" | "json";
};

type MadeProof = {
  readonly proof: Proof;
  readonly jwks: { readonly keys: readonly object[] } | undefined;
};

const bySecret = (proof: Proof) => (): Promise<MadeProof> =>
  Promise.resolve({ proof, jwks: undefined });

export const ownScripts: readonly OwnScript[] = [
  {
    name: "its secret in the header",
    makeProof: bySecret(secretInHeader),
    path: "/token",
    encoding: "form",
  },
  {
    name: "its secret in the body",
    makeProof: bySecret(secretInBody),
    path: "/token",
    encoding: "form",
  },
  {
    name: "JSON, as mission document 3 shows",
    makeProof: bySecret(secretInBody),
    path: "/mcp/auth/token",
    encoding: "json",
  },
  {
    name: "a node's address",
    makeProof: bySecret(secretInHeader),
    path: "/mcp/node/swift-fox-0dd9b9/auth/token",
    encoding: "json",
  },
  {
    name: "an ES256 key",
    makeProof: byKey("ES256", "tokenEndpoint"),
    path: "/token",
    encoding: "form",
  },
  { name: "an EdDSA key", makeProof: byKey("EdDSA", "issuer"), path: "/token", encoding: "form" },
];

function byKey(algorithm: "ES256" | "EdDSA", audience: "issuer" | "tokenEndpoint") {
  return async (): Promise<MadeProof> => {
    const { privateKey, publicKey } = await generateKeyPair(algorithm);
    const kid = `script-${algorithm}`;
    const jwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm };
    return {
      proof: signedAssertion({ privateKey, algorithm, kid, audience }),
      jwks: { keys: [jwk] },
    };
  };
}

/** An agent of the operator on a seller's account. */
export async function addOwnAgent(
  world: World,
  more: {
    readonly jwks?: Readonly<Record<string, unknown>> | undefined;
    readonly redirectUris?: readonly string[];
  } = {},
): Promise<{ readonly clientId: string; readonly secret: string | undefined }> {
  await connectSeller(newVisitor(), { url: world.url });
  const { clientId, secret } = await addRobot(world.app, {
    name: "Own script",
    redirectUris: more.redirectUris ?? [],
    jwks: more.jwks,
    agentType: "script",
    agentVersion: "1.0",
    account: "mercadolibre:100200300",
  });
  return { clientId, secret: secret?.reveal() };
}

export async function scriptToken(
  script: OwnScript,
  asked: {
    readonly url: string;
    readonly proof: Proof;
    readonly clientId: string;
    readonly secret: string | undefined;
  },
): Promise<Response> {
  const { url, proof, clientId, secret } = asked;
  const made = await proof.prove({ clientId, secret, issuer: url, tokenEndpoint: `${url}/token` });
  const fields = { grant_type: "client_credentials", scope: "mcp:read mcp:call", ...made.fields };
  const isJson = script.encoding === "json";
  return await fetch(`${url}${script.path}`, {
    method: "POST",
    headers: { ...made.headers, ...(isJson ? { "content-type": "application/json" } : {}) },
    body: isJson ? JSON.stringify(fields) : new URLSearchParams(fields),
  });
}
