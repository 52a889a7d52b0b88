import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { removeClient } from "#src/oauth-server/clients/operator.ts";
import { rotateKeys } from "#src/oauth-server/tokens/signing-keys.ts";
import { createGuardedFetch } from "#src/http/guarded-fetch.ts";
import {
  type Tokens,
  authorizeUrl,
  authorizedAgent,
  newPkce,
  refresh,
  registerAgent,
} from "#test/support/agent-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";
import { allActed } from "#test/support/acknowledged.ts";
import { until } from "#test/support/until.ts";

// Each of these was found by a review and failed before it was mended.

test("a stream that its upstream opens after the grant has ended is cut at once", async () => {
  const answer = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  await using upstream = scriptedUpstream(async () => {
    asked.resolve();
    await answer.promise;
    const body = new ReadableStream({
      start: (to) => to.enqueue(new TextEncoder().encode("data: {}\n\n")),
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const { clientId, tokens } = await authorizedAgent(world.url);
  const waiting = post(`${world.url}/mcp`, tokens.access_token, toolCall("slow"));
  await asked.promise;
  const body = new URLSearchParams({ client_id: clientId, token: tokens.refresh_token });
  await fetch(`${world.url}/revoke`, { method: "POST", body });
  answer.resolve();
  const begun = performance.now();
  await (await waiting).text();
  expect(performance.now() - begun).toBeLessThan(1000);
});

test("a lost key ends the tokens of every algorithm", async () => {
  await using world = await openWorld();
  const { tokens } = await authorizedAgent(world.url);
  await using other = await secondGateway(world, { SMARTDASH_TOKEN_ALGORITHM: "ES256" });
  const works = async (url: string) =>
    (await post(`${url}/mcp`, tokens.access_token, toolCall("whoami"))).status;
  expect(await works(other.url)).toBe(200);
  await rotateKeys(other.app, { isLost: true });
  await allActed(world.app.db);
  expect([await works(world.url), await works(other.url)]).toEqual([401, 401]);
});

test("lost keys can be replaced when the key that sealed them is gone too", async () => {
  await using world = await openWorld();
  await authorizedAgent(world.url);
  await using other = await secondGateway(world, {
    ENCRYPTION_KEY: Buffer.alloc(32, 9).toString("base64"),
  });
  expect((await fetch(`${other.url}/jwks`)).status).toBe(200);
  await rotateKeys(other.app, { isLost: true });
});

test("a client that the operator removes is asked about again", async () => {
  await using world = await openWorld();
  const claude = "https://claude.ai/oauth/mcp-oauth-client-metadata";
  const redirectUri = "https://claude.ai/api/mcp/auth_callback";
  const asking = { url: world.url, clientId: claude, redirectUri, pkce: newPkce() };
  const { visitor } = await authorizedAgent(world.url);
  const page = await visitor.get(authorizeUrl(asking));
  const { formIn } = await import("#test/support/agent-like.ts");
  const form = { ...formIn(await page.text()), decision: "allow" };
  expect((await visitor.post(`${world.url}/authorize`, form)).status).toBe(303);
  expect((await visitor.get(authorizeUrl(asking))).status).toBe(303);
  await removeClient(world.app, claude);
  expect((await visitor.get(authorizeUrl(asking))).status).toBe(200);
});

test("a token for /mcp does not follow it to another upstream", async () => {
  await using other = scriptedUpstream(() => Response.json({ jsonrpc: "2.0", id: 1, result: {} }));
  await using world = await openWorld();
  const { clientId, tokens } = await authorizedAgent(world.url);
  const credential = { provider: "mercadolibre" };
  const moved = { other: { url: other.url, credential } };
  const upstreams = JSON.parse(world.environment["SMARTDASH_UPSTREAMS"] ?? "{}") as object;
  await using changed = await secondGateway(world, {
    SMARTDASH_DEFAULT_UPSTREAM: "other",
    SMARTDASH_UPSTREAMS: JSON.stringify({ ...upstreams, ...moved }),
  });
  const answer = await post(`${changed.url}/mcp`, tokens.access_token, toolCall("whoami"));
  expect(answer.status).toBe(401);
  const again = await refresh(changed.url, { clientId, refreshToken: tokens.refresh_token });
  expect(((await again.json()) as { error: string }).error).toBe("invalid_target");
  expect(other.seen).toHaveLength(0);
});

test("a retry after the keys of the gateway changed brings a successor that works", async () => {
  await using world = await openWorld();
  const { clientId, tokens } = await authorizedAgent(world.url);
  await refresh(world.url, { clientId, refreshToken: tokens.refresh_token });
  await using other = await secondGateway(world, {
    SECRET_KEY: Buffer.alloc(32, 3).toString("base64"),
  });
  const retry = await refresh(other.url, { clientId, refreshToken: tokens.refresh_token });
  const { refresh_token: next } = (await retry.json()) as Tokens;
  expect((await refresh(other.url, { clientId, refreshToken: next })).status).toBe(200);
});

test("a guarded fetch that nobody waits for any more opens nothing", async () => {
  let connections = 0;
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { open: () => void (connections += 1), data: () => undefined },
  });
  const resolved = Promise.withResolvers<string[]>();
  const slow = () => resolved.promise;
  const get = createGuardedFetch({ allowsLoopback: true, limitMs: 100, resolve: slow });
  const outcome = await get(`http://client.example:${server.port}/x`, 100).catch(String);
  expect(outcome).toContain("cannot be used");
  resolved.resolve(["127.0.0.1"]);
  // Whoever connects after us is heard after what it would have opened.
  await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: { data: () => undefined },
  });
  await until(() => connections > 0, "a connection");
  server.stop(true);
  expect(connections).toBe(1);
});

test("long numbers survive when our own question is taken out of a retry", async () => {
  await using upstream = scriptedUpstream(() =>
    Response.json({ jsonrpc: "2.0", id: 1, result: {} }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const { tokens } = await authorizedAgent(world.url);
  const answers = `{"smartdash/reconnect":{"action":"accept"}}`;
  const params = `{"name":"x","arguments":{"order":2000001234567890123},"inputResponses":${answers}}`;
  const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`;
  await post(`${world.url}/mcp`, tokens.access_token, body);
  expect(upstream.seen[0]?.body).toBe(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"order":2000001234567890123}}}`,
  );
});

test("a flood of clients that nobody used makes room instead of keeping others out", async () => {
  await using world = await openWorld();
  await world.app.db.execute(sql`
    insert into agents (id, client_id, kind, name, redirect_uris, grant_types, auth_method, scope, created_at)
    select gen_random_uuid(), 'old_' || n, 'dynamic', 'x', '{}', '{}', 'none', '', now() - interval '2 hours'
    from generate_series(1, 10000) n`);
  expect((await registerAgent(world.url)).client_id).toStartWith("agent_");
});
