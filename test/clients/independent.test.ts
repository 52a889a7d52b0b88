import { describe, expect, test } from "bun:test";
import { exportJWK, exportPKCS8, generateKeyPair } from "jose";
import * as oauth from "oauth4webapi";
import {
  Client,
  ClientCredentialsProvider,
  type OAuthClientProvider,
  PrivateKeyJwtProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";
import { UnauthorizedError as FormerUnauthorized } from "@modelcontextprotocol/sdk/client/auth.js";
import {
  ClientCredentialsProvider as FormerCredentials,
  PrivateKeyJwtProvider as FormerKeyProvider,
} from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import type { OAuthClientProvider as FormerProvider } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as FormerClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as FormerTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { rejection } from "#test/data/rejection.ts";
import { newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { addOwnAgent } from "./emulators/own-script.ts";
import { personDecides } from "./emulators/person.ts";
import { redirectUrl, rememberingProvider } from "./remembering-provider.ts";

const insecure = { [oauth.allowInsecureRequests]: true } as const;

/** Both documents, each through the library's own rule for it. */
async function discovered(
  url: string,
  algorithm: "oauth2" | "oidc" = "oauth2",
): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(url);
  const response = await oauth.discoveryRequest(issuer, { ...insecure, algorithm });
  return await oauth.processDiscoveryResponse(issuer, response);
}

async function registeredClient(
  server: oauth.AuthorizationServer,
  metadata: Readonly<Record<string, string | readonly string[]>>,
): Promise<oauth.Client> {
  const wanted = {
    client_name: "oauth4webapi",
    redirect_uris: [redirectUrl],
    ...metadata,
  } as Partial<oauth.Client>;
  const response = await oauth.dynamicClientRegistrationRequest(server, wanted, insecure);
  return await oauth.processDynamicClientRegistrationResponse(response);
}

/** Code with PKCE, `iss` and `state` checked by the library. */
async function authorized(
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  asked: { readonly proof: oauth.ClientAuth; readonly resource: string },
): Promise<oauth.TokenEndpointResponse> {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const query = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: redirectUrl,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    resource: asked.resource,
  });
  const address = `${server.authorization_endpoint}?${query.toString()}`;
  const { back } = await personDecides(newVisitor(), { address, redirectUri: redirectUrl });
  const callback = oauth.validateAuthResponse(server, client, back!, state);
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    asked.proof,
    callback,
    redirectUrl,
    verifier,
    { ...insecure, additionalParameters: { resource: asked.resource } },
  );
  return await oauth.processAuthorizationCodeResponse(server, client, response);
}

async function claimsOf(
  server: oauth.AuthorizationServer,
  resource: string,
  token: string,
): Promise<oauth.JWTAccessTokenClaims> {
  const request = new Request(resource, { headers: { authorization: `Bearer ${token}` } });
  return await oauth.validateJwtAccessToken(server, request, resource, insecure);
}

describe("oauth4webapi", () => {
  test("finds resource and server, by either document", async () => {
    await using world = await openWorld();
    for (const path of ["/mcp", "/mcp/mercadolibre"]) {
      const resource = new URL(`${world.url}${path}`);
      const response = await oauth.resourceDiscoveryRequest(resource, insecure);
      const found = await oauth.processResourceDiscoveryResponse(resource, response);
      expect(found.authorization_servers).toEqual([world.url]);
    }
    expect(await discovered(world.url, "oidc")).toEqual(await discovered(world.url, "oauth2"));
  });

  test("a public client: code, token, refresh, revocation", async () => {
    await using world = await openWorld();
    const server = await discovered(world.url);
    const resource = `${world.url}/mcp`;
    const client = await registeredClient(server, { token_endpoint_auth_method: "none" });
    const first = await authorized(server, client, { proof: oauth.None(), resource });
    expect(first).toMatchObject({ token_type: "bearer", expires_in: 3600 });
    expect(await claimsOf(server, resource, first.access_token)).toMatchObject({
      iss: world.url,
      aud: resource,
      client_id: client.client_id,
      scope: "mcp:read mcp:call mcp:resources",
    });
    const otherAudience = claimsOf(server, `${world.url}/mcp/airtable`, first.access_token);
    expect(await rejection(otherAudience)).toMatchObject({ code: oauth.JWT_CLAIM_COMPARISON });

    const answer = await oauth.refreshTokenGrantRequest(
      server,
      client,
      oauth.None(),
      first.refresh_token!,
      insecure,
    );
    const second = await oauth.processRefreshTokenResponse(server, client, answer);
    expect(second.refresh_token).toBeString();
    expect(second.refresh_token).not.toBe(first.refresh_token!);
    const call = await oauth.protectedResourceRequest(
      second.access_token,
      "POST",
      new URL(resource),
      new Headers({
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      }),
      JSON.stringify(toolCall("whoami")),
      insecure,
    );
    expect(await call.text()).toContain("TIENDA_DEMO");

    const ended = await oauth.revocationRequest(
      server,
      client,
      oauth.None(),
      second.refresh_token!,
      insecure,
    );
    expect(await oauth.processRevocationResponse(ended)).toBeUndefined();
    const dead = await oauth.refreshTokenGrantRequest(
      server,
      client,
      oauth.None(),
      second.refresh_token!,
      insecure,
    );
    expect(await rejection(oauth.processRefreshTokenResponse(server, client, dead))).toMatchObject({
      name: "ResponseBodyError",
      error: "invalid_grant",
      status: 400,
    });
    const refused = oauth.protectedResourceRequest(
      second.access_token,
      "POST",
      new URL(resource),
      undefined,
      undefined,
      insecure,
    );
    const challenge = (await rejection(refused)) as oauth.WWWAuthenticateChallengeError;
    expect(challenge.status).toBe(401);
    expect(challenge.cause[0]?.parameters).toMatchObject({
      error: "invalid_token",
      resource_metadata: `${world.url}/.well-known/oauth-protected-resource/mcp`,
    });
  });

  for (const [method, proofWith] of [
    ["client_secret_basic", oauth.ClientSecretBasic],
    ["client_secret_post", oauth.ClientSecretPost],
  ] as const) {
    test(`a confidential client with ${method} introspects its tokens, alive and ended`, async () => {
      await using world = await openWorld();
      const server = await discovered(world.url);
      const resource = `${world.url}/mcp`;
      const client = await registeredClient(server, { token_endpoint_auth_method: method });
      const { client_secret: secret } = client;
      if (typeof secret !== "string") throw new Error("no secret");
      const proof = proofWith(secret);
      const tokens = await authorized(server, client, { proof, resource });
      const ask = async (token: string) => {
        const answer = await oauth.introspectionRequest(server, client, proof, token, insecure);
        return await oauth.processIntrospectionResponse(server, client, answer);
      };
      expect(await ask(tokens.access_token)).toMatchObject({
        active: true,
        iss: world.url,
        aud: resource,
        client_id: client.client_id,
        token_type: "Bearer",
        scope: "mcp:read mcp:call mcp:resources",
      });
      expect(await ask(tokens.refresh_token!)).toMatchObject({ active: true });
      expect(await ask("unknown")).toEqual({ active: false });
      const ended = await oauth.revocationRequest(
        server,
        client,
        proof,
        tokens.access_token,
        insecure,
      );
      await oauth.processRevocationResponse(ended);
      expect(await ask(tokens.access_token)).toEqual({ active: false });
      expect(await ask(tokens.refresh_token!)).toEqual({ active: false });
    });
  }

  for (const algorithm of ["RS256", "ES256", "Ed25519"]) {
    test(`client credentials with private_key_jwt and ${algorithm}`, async () => {
      await using world = await openWorld();
      const server = await discovered(world.url);
      const key = await keyOf(algorithm);
      const { clientId } = await addOwnAgent(world, { jwks: { keys: [key.jwk] } });
      const proof = oauth.PrivateKeyJwt({ key: key.privateKey, kid: "own" });
      await expectOwnToken(world, server, { client_id: clientId }, proof);
    });
  }

  test("client credentials with a secret, in either way", async () => {
    await using world = await openWorld();
    const server = await discovered(world.url);
    const { clientId, secret = "" } = await addOwnAgent(world);
    for (const proof of [oauth.ClientSecretBasic(secret), oauth.ClientSecretPost(secret)]) {
      await expectOwnToken(world, server, { client_id: clientId }, proof);
    }
  });

  test("a device code", async () => {
    await using world = await openWorld();
    const server = await discovered(world.url);
    const client = await registeredClient(server, {
      token_endpoint_auth_method: "none",
      grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    });
    const resource = `${world.url}/mcp`;
    const begun = await oauth.processDeviceAuthorizationResponse(
      server,
      client,
      await oauth.deviceAuthorizationRequest(server, client, oauth.None(), { resource }, insecure),
    );
    const poll = async () =>
      await oauth.processDeviceCodeResponse(
        server,
        client,
        await oauth.deviceCodeGrantRequest(
          server,
          client,
          oauth.None(),
          begun.device_code,
          insecure,
        ),
      );
    expect(await rejection(poll())).toMatchObject({ error: "authorization_pending" });
    const walk = await personDecides(newVisitor(), { address: begun.verification_uri_complete! });
    expect(walk.pages).toContain("consent");
    await world.database.open.sql`
      update device_codes set polled_at = polled_at - interval '1 minute'`;
    const tokens = await poll();
    expect(await claimsOf(server, resource, tokens.access_token)).toMatchObject({
      client_id: client.client_id,
    });
    expect(tokens.refresh_token).toBeString();
  });
});

async function expectOwnToken(
  world: World,
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  proof: oauth.ClientAuth,
): Promise<void> {
  const resource = `${world.url}/mcp`;
  const parameters = { resource, scope: "mcp:call" };
  const answer = await oauth.clientCredentialsGrantRequest(
    server,
    client,
    proof,
    parameters,
    insecure,
  );
  const tokens = await oauth.processClientCredentialsResponse(server, client, answer);
  expect(tokens.refresh_token).toBeUndefined();
  expect(await claimsOf(server, resource, tokens.access_token)).toMatchObject({
    sub: client.client_id,
    scope: "mcp:call",
  });
  const call = await post(resource, tokens.access_token, toolCall("whoami"));
  expect(await call.text()).toContain("TIENDA_DEMO");
}

async function keyOf(algorithm: string) {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: "own" };
  return { privateKey, jwk };
}

const identity = { name: "independent", version: "1.0.0" };

/** What the tests ask of an SDK's client. */
type Session = {
  readonly tools: () => Promise<readonly string[]>;
  readonly whoami: () => Promise<string>;
  readonly protocol: () => string | undefined;
  readonly close: () => Promise<void>;
};

type Sdk = {
  readonly name: string;
  readonly revision: string;
  readonly unauthorized: new (message?: string) => Error;
  /** Connects; where the person is needed first, `finish` takes the answer's parameters. */
  readonly begin: (
    url: URL,
    provider: OAuthClientProvider & FormerProvider,
  ) => {
    connect: () => Promise<Session>;
    finish: (answer: URLSearchParams) => Promise<void>;
  };
};

function current(mode: "auto" | "legacy"): Sdk["begin"] {
  return (url, authProvider) => {
    const transport = new StreamableHTTPClientTransport(url, { authProvider });
    return {
      connect: async () => {
        const client = new Client(identity, { versionNegotiation: { mode } });
        await client.connect(transport);
        return {
          tools: async () => (await client.listTools()).tools.map(({ name }) => name),
          whoami: async () => JSON.stringify(await client.callTool({ name: "whoami" })),
          protocol: () => client.getNegotiatedProtocolVersion(),
          close: () => client.close(),
        };
      },
      finish: (answer) => transport.finishAuth(answer),
    };
  };
}

const former: Sdk["begin"] = (url, authProvider) => {
  const transport = new FormerTransport(url, { authProvider });
  return {
    connect: async () => {
      const client = new FormerClient(identity);
      await client.connect(transport);
      return {
        tools: async () => (await client.listTools()).tools.map(({ name }) => name),
        whoami: async () => JSON.stringify(await client.callTool({ name: "whoami" })),
        protocol: () => transport.protocolVersion,
        close: () => client.close(),
      };
    },
    finish: (answer) => transport.finishAuth(answer.get("code") ?? ""),
  };
};

const sdks: readonly Sdk[] = [
  {
    name: "the SDK v2, modern",
    revision: "2026-07-28",
    unauthorized: UnauthorizedError,
    begin: current("auto"),
  },
  {
    name: "the SDK v2, legacy",
    revision: "2025-11-25",
    unauthorized: UnauthorizedError,
    begin: current("legacy"),
  },
  { name: "the SDK v1", revision: "2025-11-25", unauthorized: FormerUnauthorized, begin: former },
];

for (const { name, revision, unauthorized, begin } of sdks) {
  describe(name, () => {
    for (const way of ["registration", "its document"]) {
      test(`by ${way}: unauthorized, finished, connected, and refreshed when its token ends`, async () => {
        await using world = await openWorld();
        const clientMetadataUrl = "https://claude.ai/oauth/claude-code-client-metadata";
        const remembering = rememberingProvider(
          way === "registration" ? {} : { clientMetadataUrl },
        );
        const { provider, sentTo, tokens, state, clientIds } = remembering;
        const url = new URL(`${world.url}/mcp`);
        const before = begin(url, provider);
        expect(await rejection(before.connect())).toBeInstanceOf(unauthorized);
        expect(clientIds()).toEqual([
          way === "registration" ? expect.stringMatching(/^agent_/) : clientMetadataUrl,
        ]);
        const address = sentTo[0]!;
        expect(address.searchParams.get("resource")).toBe(url.href);
        const { back } = await personDecides(newVisitor(), {
          address: address.href,
          redirectUri: redirectUrl,
        });
        expect(back?.searchParams.get("state")).toBe(state);
        await before.finish(back!.searchParams);
        expect(tokens).toHaveLength(1);

        const session = await begin(url, provider).connect();
        expect(session.protocol()).toBe(revision);
        expect(await session.tools()).toContain("whoami");
        expect(await session.whoami()).toContain("TIENDA_DEMO");

        // Its access token has been lost on the way: the refresh token brings another one, without the person.
        tokens.push({ ...tokens[0]!, access_token: "eyJhbGciOiJub25lIn0.e30." });
        expect(await session.whoami()).toContain("TIENDA_DEMO");
        expect(tokens).toHaveLength(3);
        expect(tokens[2]!.refresh_token).not.toBe(tokens[0]!.refresh_token);
        expect(sentTo).toHaveLength(1);
        await session.close();
      });
    }
  });
}

type OwnProvider = (asked: {
  readonly clientId: string;
  readonly secret: string;
  readonly pem: string;
  readonly issuer: string;
}) => OAuthClientProvider & FormerProvider;

const ownProviders: readonly [string, Sdk["begin"], "secret" | "key", OwnProvider][] = [
  [
    "the SDK v2 with ClientCredentialsProvider",
    current("auto"),
    "secret",
    ({ clientId, secret, issuer }) =>
      new ClientCredentialsProvider({
        clientId,
        clientSecret: secret,
        expectedIssuer: issuer,
        scope: "mcp:call",
      }),
  ],
  [
    "the SDK v2 with PrivateKeyJwtProvider",
    current("auto"),
    "key",
    ({ clientId, pem, issuer }) =>
      new PrivateKeyJwtProvider({
        clientId,
        privateKey: pem,
        algorithm: "ES256",
        expectedIssuer: issuer,
      }),
  ],
  [
    "the SDK v1 with ClientCredentialsProvider",
    former,
    "secret",
    ({ clientId, secret, issuer }) =>
      new FormerCredentials({ clientId, clientSecret: secret, expectedIssuer: issuer }),
  ],
  [
    "the SDK v1 with PrivateKeyJwtProvider",
    former,
    "key",
    ({ clientId, pem, issuer }) =>
      new FormerKeyProvider({
        clientId,
        privateKey: pem,
        algorithm: "ES256",
        expectedIssuer: issuer,
      }),
  ],
];

for (const [name, begin, means, make] of ownProviders) {
  test(`an operator's agent on ${name} connects by itself`, async () => {
    await using world = await openWorld();
    const { privateKey, jwk } = await keyOf("ES256");
    const pem = await exportPKCS8(privateKey);
    const { clientId, secret = "" } = await addOwnAgent(
      world,
      means === "key" ? { jwks: { keys: [jwk] } } : {},
    );
    const provider = make({ clientId, secret, pem, issuer: world.url });
    const session = await begin(new URL(`${world.url}/mcp`), provider).connect();
    expect(await session.tools()).toContain("whoami");
    expect(await session.whoami()).toContain("TIENDA_DEMO");
    await session.close();
  });
}
