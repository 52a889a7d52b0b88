import { expect, test } from "bun:test";
import { addRobot } from "#test/support/robot.ts";
import { rotateKeys } from "#src/oauth-server/tokens/signing-keys.ts";
import { type Tokens, authorizedAgent, tokenRequest } from "#test/support/agent-like.ts";
import { connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

const quietStream = () =>
  new Response(
    new ReadableStream({ start: (to) => to.enqueue(new TextEncoder().encode("data: {}\n\n")) }),
    { headers: { "content-type": "text/event-stream" } },
  );

/** How long it takes until the bearer is refused there; fails after the limit. */
async function untilRefused(url: string, bearer: string, limitMs: number): Promise<number> {
  const begun = performance.now();
  while (performance.now() - begun < limitMs) {
    if ((await post(`${url}/mcp`, bearer, toolCall("whoami"))).status === 401) {
      return performance.now() - begun;
    }
    await Bun.sleep(50);
  }
  throw new Error(`still accepted after ${limitMs} ms`);
}

async function revoke(url: string, clientId: string, token: string): Promise<void> {
  const body = new URLSearchParams({ client_id: clientId, token });
  expect((await fetch(`${url}/revoke`, { method: "POST", body })).status).toBe(200);
}

test("a grant revoked on one gateway ends on the other, with its open stream", async () => {
  await using upstream = scriptedUpstream(async (request) =>
    (await request.text()).includes("slow") ? quietStream() : Response.json({ ok: true }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  await using other = await secondGateway(world);
  const { clientId, tokens } = await authorizedAgent(world.url);
  const bearer = tokens.access_token;
  expect((await post(`${other.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  const stream = await post(`${other.url}/mcp`, bearer, toolCall("slow"));
  const reader = stream.body!.getReader();
  await reader.read();
  await revoke(world.url, clientId, tokens.refresh_token);
  const begun = performance.now();
  while (!(await reader.read()).done);
  expect(performance.now() - begun).toBeLessThan(2000);
  expect(await untilRefused(other.url, bearer, 2000)).toBeLessThan(2000);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(401);
});

test("where no notification arrives, an ending is read from the table within two seconds", async () => {
  await using world = await openWorld();
  await using deaf = await secondGateway(world, {}, (app) => ({
    ...app,
    listen: () => Promise.resolve(),
  }));
  const { clientId, tokens } = await authorizedAgent(world.url);
  expect((await post(`${deaf.url}/mcp`, tokens.access_token, toolCall("whoami"))).status).toBe(200);
  await revoke(world.url, clientId, tokens.refresh_token);
  const tookMs = await untilRefused(deaf.url, tokens.access_token, 2000);
  expect(tookMs).toBeLessThan(2000);
});

test("an agent's own token is revoked alone, its removal ends all of them", async () => {
  await using world = await openWorld();
  await using other = await secondGateway(world);
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const [account] = await world.app.db.execute<{ id: string }>("select id from accounts");
  const { clientId, secret } = await addRobot(world.app, {
    agentType: "claude",
    agentVersion: "opus-4.0",
    account: account?.id,
  });
  const client = { client_id: clientId, client_secret: secret!.reveal() };
  const token = async () => {
    const answer = await tokenRequest(world.url, { grant_type: "client_credentials", ...client });
    return ((await answer.json()) as Tokens).access_token;
  };
  const [first, second] = [await token(), await token()];
  for (const bearer of [first, second]) {
    expect((await post(`${other.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  }
  const body = new URLSearchParams({ ...client, token: first });
  expect((await fetch(`${world.url}/revoke`, { method: "POST", body })).status).toBe(200);
  await untilRefused(other.url, first, 2000);
  expect((await post(`${other.url}/mcp`, second, toolCall("whoami"))).status).toBe(200);
  const { removeClient } = await import("#src/oauth-server/clients/operator.ts");
  await removeClient(world.app, clientId);
  await untilRefused(other.url, second, 2000);
  const gone = await tokenRequest(other.url, { grant_type: "client_credentials", ...client });
  expect([gone.status, ((await gone.json()) as { error: string }).error]).toEqual([
    401,
    "invalid_client",
  ]);
});

test("keys rotate without ending a token; a lost key ends what it signed", async () => {
  await using world = await openWorld();
  await using other = await secondGateway(world);
  const { tokens } = await authorizedAgent(world.url);
  const bearer = tokens.access_token;
  const before = ((await (await fetch(`${world.url}/jwks`)).json()) as { keys: { kid: string }[] })
    .keys;
  expect(before).toHaveLength(2);
  await rotateKeys(world.app, { isLost: false });
  const after = await authorizedAgent(world.url);
  for (const token of [bearer, after.tokens.access_token]) {
    expect((await post(`${other.url}/mcp`, token, toolCall("whoami"))).status).toBe(200);
    expect((await post(`${world.url}/mcp`, token, toolCall("whoami"))).status).toBe(200);
  }
  await rotateKeys(world.app, { isLost: true });
  await untilRefused(world.url, bearer, 2000);
  await untilRefused(other.url, bearer, 2000);
  const fresh = await authorizedAgent(world.url);
  expect(
    (await post(`${other.url}/mcp`, fresh.tokens.access_token, toolCall("whoami"))).status,
  ).toBe(200);
});
