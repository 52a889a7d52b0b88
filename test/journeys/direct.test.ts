import { expect, test } from "bun:test";
import { sellers } from "#src/sandbox/sellers.ts";
import { connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";

const key = `pat${"A".repeat(14)}.${"0123456789abcdef".repeat(4)}`;

function direct(world: World, form: Readonly<Record<string, string>>): Promise<Response> {
  return fetch(`${world.url}/api/auth/direct`, { method: "POST", body: new URLSearchParams(form) });
}

test("a personal access token is proven, stored and answered with a session", async () => {
  await using world = await openWorld();
  world.sandbox.providers.get("airtable")?.grants.addKey(key, sellers[0]!);
  const answer = await direct(world, { api_key: key, platform: "chatgpt" });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  const { session_id } = (await answer.json()) as { session_id: string };
  expect(session_id).toStartWith("sd_ses_");
  const call = await post(`${world.url}/mcp/airtable`, session_id, toolCall("whoami"));
  expect(await call.text()).toContain("TIENDA_DEMO");
});

test("a key that the provider does not know is refused and nothing is stored", async () => {
  await using world = await openWorld();
  const answer = await direct(world, { api_key: key, platform: "chatgpt" });
  expect(answer.status).toBe(401);
  const text = await answer.text();
  expect(text).toContain("key_refused");
  expect(text).not.toContain(key);
  expect(await world.app.db.execute("select 1 from accounts")).toHaveLength(0);
});

test("Airtable's dead API keys get a message of their own", async () => {
  await using world = await openWorld();
  const answer = await direct(world, { api_key: "keyABCDEFGHIJKLMN", platform: "chatgpt" });
  expect(await answer.json()).toMatchObject({
    error: "key_retired",
    message: expect.stringContaining("February 2024"),
  });
});

test("an empty form, a JSON body and a key of nobody are told apart", async () => {
  await using world = await openWorld();
  expect(await (await direct(world, { platform: "x" })).json()).toMatchObject({
    error: "key_missing",
  });
  expect(await (await direct(world, { api_key: "somebody's key" })).json()).toMatchObject({
    error: "key_refused",
  });
  const json = await fetch(`${world.url}/api/auth/direct`, {
    method: "POST",
    body: '{"api_key":"x"}',
    headers: { "content-type": "application/json" },
  });
  expect(json.status).toBe(403);
});

test("a pasted key never replaces an OAuth connection", async () => {
  await using world = await openWorld();
  await connectSeller(newVisitor(), { url: world.url, provider: "airtable" });
  world.sandbox.providers.get("airtable")?.grants.addKey(key, sellers[0]!);
  const answer = await direct(world, { api_key: key });
  expect(answer.status).toBe(409);
  expect(await answer.json()).toMatchObject({ error: "account_has_oauth" });
});

test("another site's form is refused", async () => {
  await using world = await openWorld();
  const answer = await fetch(`${world.url}/api/auth/direct`, {
    method: "POST",
    body: new URLSearchParams({ api_key: key }),
    headers: { origin: "https://evil.example" },
  });
  expect(answer.status).toBe(403);
});
