import { expect, test } from "bun:test";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";

test("a seller connects, mints a bearer and an agent calls a tool with it", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const answer = await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain("TIENDA_DEMO");
});
