import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { authorizeUrl, newPkce, registerAgent, tokenRequest } from "#test/support/agent-like.ts";
import { openWorld, type World } from "#test/support/world.ts";

async function register(world: World, metadata: object) {
  const answer = await fetch(`${world.url}/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(metadata),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

test("what deployed clients send is accepted, and what is not known is passed over", async () => {
  await using world = await openWorld();
  const { status, body } = await register(world, {
    client_name: "Cursor",
    redirect_uris: [
      "http://localhost:8787/callback",
      "cursor://anysphere.cursor-mcp/oauth/callback",
      "https://www.cursor.com/agents/mcp/oauth/callback",
      "unheard-of://callback",
    ],
    scope: "mcp offline_access",
    application_type: "native",
    token_endpoint_auth_method: "none",
    grant_types: [
      "authorization_code",
      "refresh_token",
      "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ],
    response_types: ["code"],
    unheard_of: { deep: [1] },
  });
  expect(status).toBe(201);
  expect(body).toMatchObject({
    redirect_uris: [
      "http://localhost:8787/callback",
      "cursor://anysphere.cursor-mcp/oauth/callback",
      "https://www.cursor.com/agents/mcp/oauth/callback",
    ],
    grant_types: ["authorization_code", "refresh_token"],
    scope: "mcp:read mcp:call mcp:resources",
    token_endpoint_auth_method: "none",
  });
  expect(body["client_secret"]).toBeUndefined();
});

test.each([
  [{ redirect_uris: ["javascript:alert(1)", "https://a.example/cb"] }, "invalid_redirect_uri"],
  [{ redirect_uris: ["http://a.example/cb"] }, "invalid_redirect_uri"],
  [{ redirect_uris: [] }, "invalid_redirect_uri"],
  [{ redirect_uris: ["https://a.example/cb#x"] }, "invalid_redirect_uri"],
  [{ redirect_uris: ["https://u:p@a.example/cb"] }, "invalid_redirect_uri"],
  [
    { redirect_uris: ["https://a.example/cb"], logo_uri: "javascript:alert(1)" },
    "invalid_client_metadata",
  ],
  [
    { redirect_uris: ["https://a.example/cb"], grant_types: ["client_credentials"] },
    "invalid_client_metadata",
  ],
  [
    { redirect_uris: ["https://a.example/cb"], token_endpoint_auth_method: "private_key_jwt" },
    "invalid_client_metadata",
  ],
  [
    { redirect_uris: ["https://a.example/cb"], token_endpoint_auth_method: "tls_client_auth" },
    "invalid_client_metadata",
  ],
])("%j is refused with %s", async (metadata, error) => {
  await using world = await openWorld();
  const refused = await register(world, metadata);
  expect(refused.status).toBe(400);
  expect(refused.body["error"]).toBe(error);
});

test("a client that was never used ends after 30 days, and is told to register again", async () => {
  await using world = await openWorld();
  const { client_id } = await registerAgent(world.url);
  await world.app.db.execute(sql`update agents set created_at = now() - interval '31 days'`);
  const dead = await tokenRequest(world.url, {
    grant_type: "refresh_token",
    client_id,
    refresh_token: "x",
  });
  expect(dead.status).toBe(401);
  expect(await dead.json()).toMatchObject({ error: "invalid_client" });
  const page = await fetch(authorizeUrl({ url: world.url, clientId: client_id, pkce: newPkce() }), {
    redirect: "manual",
  });
  expect(page.status).toBe(400);
});

test("a flood of registrations is slowed down, and huge ones are refused", async () => {
  await using world = await openWorld();
  const huge = await register(world, {
    redirect_uris: ["https://a.example/cb"],
    client_name: "x".repeat(20_000),
  });
  expect(huge.status).toBe(413);
  const statuses = [];
  for (let count = 0; count < 32; count++) {
    statuses.push((await register(world, { redirect_uris: ["https://a.example/cb"] })).status);
  }
  expect(statuses.filter((status) => status === 201).length).toBeGreaterThan(25);
  expect(statuses.at(-1)).toBe(429);
});

test("a confidential client proves itself with Basic or in the body, and not without", async () => {
  await using world = await openWorld();
  const { client_id, client_secret = "" } = await registerAgent(world.url, {
    token_endpoint_auth_method: "client_secret_basic",
  });
  const ask = async (fields: Record<string, string>, headers: Record<string, string> = {}) => {
    const answer = await tokenRequest(
      world.url,
      { grant_type: "refresh_token", refresh_token: "x", ...fields },
      headers,
    );
    return [answer.status, ((await answer.json()) as { error: string }).error];
  };
  const basic = {
    authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString("base64")}`,
  };
  expect(await ask({}, basic)).toEqual([400, "invalid_grant"]);
  expect(await ask({ client_id, client_secret })).toEqual([400, "invalid_grant"]);
  expect(await ask({ client_id })).toEqual([401, "invalid_client"]);
  expect(await ask({ client_id, client_secret: "wrong" })).toEqual([401, "invalid_client"]);
  expect(await ask({ client_id, client_secret }, basic)).toEqual([400, "invalid_request"]);
});
