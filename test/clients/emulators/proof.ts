import { SignJWT } from "jose";

/** How a client proves itself at the token endpoint, and what it adds to a request for it. */
export type Proof = {
  readonly method: "none" | "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  readonly prove: (client: ProvingClient) => Promise<Proven>;
};

type ProvingClient = {
  readonly clientId: string;
  readonly secret: string | undefined;
  readonly issuer: string;
  readonly tokenEndpoint: string;
};

type Proven = {
  readonly headers: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string>>;
};

export const publicClient: Proof = {
  method: "none",
  prove: ({ clientId }) => Promise.resolve({ headers: {}, fields: { client_id: clientId } }),
};

export const secretInBody: Proof = {
  method: "client_secret_post",
  prove: ({ clientId, secret }) =>
    Promise.resolve({
      headers: {},
      fields: { client_id: clientId, client_secret: given(secret) },
    }),
};

export const secretInHeader: Proof = {
  method: "client_secret_basic",
  prove: ({ clientId, secret }) => {
    const pair = `${encodeURIComponent(clientId)}:${encodeURIComponent(given(secret))}`;
    const authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
    return Promise.resolve({ headers: { authorization }, fields: {} });
  },
};

/** Clients differ in what they call us by in `aud`. */
export function signedAssertion(key: {
  readonly privateKey: CryptoKey;
  readonly algorithm: "RS256" | "ES256" | "EdDSA";
  readonly kid: string;
  readonly audience: "issuer" | "tokenEndpoint";
}): Proof {
  return {
    method: "private_key_jwt",
    prove: async (client) => ({
      headers: {},
      fields: {
        client_id: client.clientId,
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: await new SignJWT({})
          .setProtectedHeader({ alg: key.algorithm, kid: key.kid })
          .setIssuer(client.clientId)
          .setSubject(client.clientId)
          .setAudience(client[key.audience])
          .setJti(crypto.randomUUID())
          .setIssuedAt()
          .setExpirationTime("2m")
          .sign(key.privateKey),
      },
    }),
  };
}

function given(secret: string | undefined): string {
  if (secret === undefined) throw new Error("the registration brought no secret");
  return secret;
}
