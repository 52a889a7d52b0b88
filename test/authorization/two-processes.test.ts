import { expect, test } from "bun:test";
import {
  authorizeUrl,
  formIn,
  newPkce,
  redeem,
  refresh,
  registerAgent,
  type Tokens,
} from "#test/support/agent-like.ts";
import { connectSeller, locationOf, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { freePort, startServe } from "#test/support/process.ts";
import { openWorld } from "#test/support/world.ts";

test("registered and authorization begun on one process, allowed on the other, redeemed on the first", async () => {
  await using world = await openWorld();
  const port = await freePort();
  await using second = await startServe({ ...world.environment, PUBLIC_URL: world.url }, { port });
  expect(second.url).toBe(world.url);
  const there = `http://localhost:${port}`;
  let at = world.url;
  const visitor = newVisitor((url) => url.replace(world.url, at));
  await connectSeller(visitor, { url: world.url });

  const { client_id: clientId } = await registerAgent(world.url);
  const pkce = newPkce();
  const page = await visitor.get(authorizeUrl({ url: world.url, clientId, pkce }));
  expect(page.status).toBe(200);
  const form = formIn(await page.text());
  at = there;
  const decided = await visitor.post(`${world.url}/authorize`, { ...form, decision: "allow" });
  const back = new URL(locationOf(decided));
  expect(back.searchParams.get("iss")).toBe(world.url);
  const code = back.searchParams.get("code") ?? "";
  const answer = await redeem(world.url, { clientId, pkce, code });
  expect(answer.status).toBe(200);
  const tokens = (await answer.json()) as Tokens;
  for (const url of [world.url, there]) {
    expect((await post(`${url}/mcp`, tokens.access_token, toolCall("whoami"))).status).toBe(200);
  }
  const renewed = await refresh(there, { clientId, refreshToken: tokens.refresh_token });
  expect(renewed.status).toBe(200);
  expect((await redeem(there, { clientId, pkce, code })).status).toBe(400);
  expect((await post(`${there}/mcp`, tokens.access_token, toolCall("whoami"))).status).toBe(401);
});
