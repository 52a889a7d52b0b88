import { expect, test } from "bun:test";
import { authorizedAgent } from "#test/support/agent-like.ts";
import { connectSeller, locationOf, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld, type World } from "#test/support/world.ts";

const modernVersion = "2026-07-28";

function modernCall(name: string, capabilities: object, more: object = {}) {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": modernVersion,
    "io.modelcontextprotocol/clientCapabilities": capabilities,
  };
  return { ...toolCall(name), params: { name, arguments: {}, _meta: meta, ...more } };
}

const modernHeaders = (name: string) => ({
  "mcp-protocol-version": modernVersion,
  "mcp-method": "tools/call",
  "mcp-name": name,
});

/** An agent whose seller has withdrawn the gateway's grant at the provider. */
async function broken(world: World) {
  const agent = await authorizedAgent(world.url);
  world.sandbox.providers.get("mercadolibre")!.grants.revoke("100200300");
  const [account] = await world.app.db.execute<{ id: string }>("select id from accounts");
  return {
    ...agent,
    bearer: agent.tokens.access_token,
    link: `${world.url}/accounts/${account?.id}/reconnect`,
  };
}

test("a modern client that opens links is asked to open one, and its retry works after that", async () => {
  await using world = await openWorld();
  const { bearer, link, visitor } = await broken(world);
  const asking = () =>
    post(
      `${world.url}/mcp`,
      bearer,
      modernCall("whoami", { elicitation: { url: {} } }),
      modernHeaders("whoami"),
    );
  const asked = (await (await asking()).json()) as {
    result: { inputRequests: Record<string, { params: object }> };
  };
  expect(asked).toMatchObject({
    id: 1,
    result: {
      resultType: "input_required",
      inputRequests: {
        "smartdash/reconnect": {
          method: "elicitation/create",
          params: { mode: "url", url: link, message: expect.stringContaining("Mercado Libre") },
        },
      },
    },
  });
  const atProvider = locationOf(await visitor.get(link));
  const back = locationOf(await visitor.post(atProvider, { seller: "100200300" }));
  expect((await visitor.get(back)).status).toBe(303);
  const retry = modernCall(
    "whoami",
    { elicitation: { url: {} } },
    { inputResponses: { "smartdash/reconnect": { action: "accept" } } },
  );
  const answer = await post(`${world.url}/mcp`, bearer, retry, modernHeaders("whoami"));
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain("TIENDA_DEMO");
});

test("a modern client that opens no links, and a client of 2025-06-18, get a tool error with the link", async () => {
  await using world = await openWorld();
  const { bearer, link } = await broken(world);
  const modern = await post(
    `${world.url}/mcp`,
    bearer,
    modernCall("whoami", {}),
    modernHeaders("whoami"),
  );
  expect(await modern.json()).toMatchObject({
    result: {
      resultType: "complete",
      isError: true,
      content: [{ text: expect.stringContaining(link) }],
    },
  });
  const old = await post(`${world.url}/mcp`, bearer, toolCall("whoami"), {
    "mcp-protocol-version": "2025-06-18",
  });
  expect(old.status).toBe(200);
  expect(await old.json()).toMatchObject({
    result: { isError: true, content: [{ text: expect.stringContaining(link) }] },
  });
});

test("a client of 2025-11-25 gets the error -32042 with the link", async () => {
  await using world = await openWorld();
  const { bearer, link } = await broken(world);
  const answer = await post(`${world.url}/mcp`, bearer, toolCall("whoami"), {
    "mcp-protocol-version": "2025-11-25",
  });
  expect(await answer.json()).toMatchObject({
    error: { code: -32042, data: { elicitations: [{ mode: "url", url: link }] } },
  });
});

test("tools do not vanish: the list is an error with the link, never an empty list", async () => {
  await using world = await openWorld();
  const { bearer, link } = await broken(world);
  const list = await post(`${world.url}/mcp`, bearer, {
    jsonrpc: "2.0",
    id: 3,
    method: "tools/list",
  });
  expect(list.status).toBe(502);
  expect(await list.json()).toMatchObject({
    id: 3,
    error: { data: { code: "reconnect_needed", url: link } },
  });
});

test("the link is no login: another person is refused, a stranger has to be that very seller", async () => {
  await using world = await openWorld();
  const { link } = await broken(world);
  const other = newVisitor();
  await connectSeller(other, { url: world.url, seller: "100200301" });
  const refused = await other.get(link);
  expect(refused.status).toBe(403);
  expect(await refused.text()).toContain("wrong_person");
  const stranger = newVisitor();
  const atProvider = locationOf(await stranger.get(link));
  const back = locationOf(await stranger.post(atProvider, { seller: "100200301" }));
  expect((await stranger.get(back)).status).toBe(409);
  const [count] = await world.app.db.execute<{ accounts: string }>(
    "select count(*) as accounts from accounts",
  );
  expect(count?.accounts).toBe("2");
  expect((await newVisitor().get(`${world.url}/accounts/nonsense/reconnect`)).status).toBe(404);
});
