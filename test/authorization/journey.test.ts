import { expect, test } from "bun:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { authorizedAgent, refresh, tokenRequest, type Tokens } from "#test/support/agent-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";

test("an agent registers, a person allows it, and its token calls a tool, is refreshed and revoked", async () => {
  await using world = await openWorld();
  const { tokens, clientId } = await authorizedAgent(world.url);
  expect(tokens).toMatchObject({
    token_type: "Bearer",
    expires_in: 3600,
    scope: "mcp:read mcp:call mcp:resources",
  });
  expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({ alg: "EdDSA", typ: "at+jwt" });
  expect(decodeJwt(tokens.access_token)).toMatchObject({
    iss: world.url,
    aud: `${world.url}/mcp`,
    client_id: clientId,
    scopes: ["mcp:read", "mcp:call", "mcp:resources"],
  });
  const answer = await post(`${world.url}/mcp`, tokens.access_token, toolCall("whoami"));
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain("TIENDA_DEMO");

  const again = await refresh(world.url, { clientId, refreshToken: tokens.refresh_token });
  expect(again.status).toBe(200);
  const renewed = (await again.json()) as Tokens;
  expect(renewed.refresh_token).not.toBe(tokens.refresh_token);
  expect((await post(`${world.url}/mcp`, renewed.access_token, toolCall("whoami"))).status).toBe(
    200,
  );

  const revoked = await fetch(`${world.url}/revoke`, {
    method: "POST",
    body: new URLSearchParams({ client_id: clientId, token: renewed.refresh_token }),
  });
  expect(revoked.status).toBe(200);
  for (const token of [tokens.access_token, renewed.access_token]) {
    expect((await post(`${world.url}/mcp`, token, toolCall("whoami"))).status).toBe(401);
  }
  const dead = await refresh(world.url, { clientId, refreshToken: renewed.refresh_token });
  expect(dead.status).toBe(400);
  expect(await dead.json()).toMatchObject({ error: "invalid_grant" });
});

test("an unknown grant type, a missing one and an unknown client are told apart", async () => {
  await using world = await openWorld();
  const told = async (fields: Record<string, string>) => {
    const answer = await tokenRequest(world.url, fields);
    return [answer.status, ((await answer.json()) as { error: string }).error];
  };
  expect(await told({ grant_type: "password", client_id: "x" })).toEqual([
    400,
    "unsupported_grant_type",
  ]);
  expect(await told({ client_id: "x" })).toEqual([400, "invalid_request"]);
  expect(await told({ grant_type: "refresh_token", client_id: "x" })).toEqual([
    401,
    "invalid_client",
  ]);
});

test("an address typed with a slash at its end is described as it was typed, and works", async () => {
  await using world = await openWorld();
  const typed = `${world.url}/mcp/mercadolibre/`;
  const refused = await fetch(typed, { method: "POST", body: "{}" });
  expect(refused.status).toBe(401);
  const metadata = /resource_metadata="([^"]+)"/.exec(
    refused.headers.get("www-authenticate") ?? "",
  )?.[1];
  const described = (await (await fetch(metadata ?? "")).json()) as { resource: string };
  expect(described.resource).toBe(typed);
  const { tokens } = await authorizedAgent(world.url, { query: { resource: typed } });
  expect(decodeJwt(tokens.access_token).aud).toBe(typed);
  expect((await post(typed, tokens.access_token, toolCall("whoami"))).status).toBe(200);
});
