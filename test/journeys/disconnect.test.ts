import { describe, expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { disconnect, finishDisconnecting } from "#src/accounts/revocation/disconnect.ts";
import { airtable } from "#src/providers/airtable.ts";
import { mercadolibre } from "#src/providers/mercadolibre.ts";
import { authorizedAgent } from "#test/support/agent-like.ts";
import {
  type Visitor,
  connectSeller,
  mintBearer,
  newBearer,
  newVisitor,
} from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { refreshingAs } from "#test/support/refreshing.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { allActed } from "#test/support/acknowledged.ts";

type Row = {
  id: string;
  state: string;
  last_error: string | null;
  access: number;
  refresh: number;
};

async function accountIn(world: World): Promise<Row> {
  const [row] = await world.app.db.execute<Row>(sql`select id, state, last_error,
    length(access_token) as access, length(refresh_token) as refresh from accounts`);
  if (row === undefined) throw new Error("there is an account");
  return row;
}

async function pressDisconnect(visitor: Visitor, world: World): Promise<string> {
  const { id } = await accountIn(world);
  const page = await (await visitor.get(`${world.url}/accounts/${id}/disconnect`)).text();
  const form_token = /name="form_token" value="([^"]+)"/.exec(page)?.[1] ?? "";
  const done = await visitor.post(`${world.url}/accounts/${id}/disconnect`, { form_token });
  expect(done.status).toBe(200);
  return await done.text();
}

test("a person disconnects: agents are refused everywhere, the provider takes access back, the credential is gone", async () => {
  await using world = await openWorld();
  const { visitor, tokens } = await authorizedAgent(world.url);
  const session = await mintBearer(visitor, world.url);
  await using elsewhere = await secondGateway(world);
  const bearers = [session, tokens.access_token];
  for (const bearer of bearers) {
    for (const { url } of [world, elsewhere]) {
      expect((await post(`${url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
    }
  }
  const { id } = await accountIn(world);
  const question = await (await visitor.get(`${world.url}/accounts/${id}/disconnect`)).text();
  expect(question).toContain("Sessions that end: 1; permissions of agents: 1.");
  expect(await pressDisconnect(visitor, world)).toContain(
    "Mercado Libre has taken the access back",
  );
  for (const bearer of bearers) {
    expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(401);
  }
  await allActed(world.app.db);
  for (const bearer of bearers) {
    expect((await post(`${elsewhere.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(401);
  }
  expect(await accountIn(world)).toMatchObject({ state: "revoked", access: 0, refresh: 0 });
  const home = await (await visitor.get(world.url)).text();
  expect(home).toContain("disconnected");
  expect(home).not.toContain(`/accounts/${id}/disconnect`);
});

test("a dead access token is renewed first, because Mercado Libre asks for a live one", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const provider = world.sandbox.providers.get("mercadolibre");
  provider?.grants.expireAccess();
  await pressDisconnect(visitor, world);
  expect(provider?.asked.refresh_token).toBe(1);
  expect(await accountIn(world)).toMatchObject({ state: "revoked", access: 0 });
});

test("what the provider has ended before needs no taking back", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  world.sandbox.providers.get("mercadolibre")?.grants.revoke("100200300");
  expect(await pressDisconnect(visitor, world)).toContain("has taken the access back");
  expect(await accountIn(world)).toMatchObject({ state: "revoked" });
});

test("a provider that has no way for it: the page says where a person does it, and our copy is gone", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url, provider: "airtable" });
  const page = await pressDisconnect(visitor, world);
  expect(page).toContain("remove it on Airtable");
  expect(page).toContain("https://airtable.com/account");
  expect(await accountIn(world)).toMatchObject({ state: "revoked", access: 0, refresh: 0 });
});

test("RFC 7009, where a provider has it", async () => {
  const profile = {
    ...airtable,
    revocation: { how: "rfc7009", url: "https://replaced.example/" },
  } as const;
  await using world = await openWorld({ profiles: [mercadolibre, profile] });
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url, provider: "airtable" });
  const provider = world.sandbox.providers.get("airtable");
  expect(await pressDisconnect(visitor, world)).toContain("Airtable has taken the access back");
  expect(await accountIn(world)).toMatchObject({ state: "revoked" });
  expect(provider?.asked.refresh_token).toBe(0);
  expect(provider?.grants.live()).toBe(0);
});

describe("a provider that is down", () => {
  test("cannot keep an account usable; it is asked again, by whichever gateway comes by", async () => {
    await using world = await openWorld();
    const visitor = newVisitor();
    await connectSeller(visitor, { url: world.url });
    const bearer = await mintBearer(visitor, world.url);
    const provider = world.sandbox.providers.get("mercadolibre");
    provider?.grants.expireAccess();
    provider?.faults.push({ kind: "status", status: 503 });
    expect(await pressDisconnect(visitor, world)).toContain("has not confirmed yet");
    expect(await accountIn(world)).toMatchObject({ state: "revoking" });
    expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(401);
    await world.app.db.execute(sql`update accounts set retry_at = now()`);
    await using other = await refreshingAs(world);
    await finishDisconnecting(other.app);
    expect(await accountIn(world)).toMatchObject({ state: "revoked", access: 0 });
    expect(provider?.grants.live()).toBe(0);
  });

  test("for a week is not asked for ever", async () => {
    await using world = await openWorld();
    const visitor = newVisitor();
    await connectSeller(visitor, { url: world.url });
    const provider = world.sandbox.providers.get("mercadolibre");
    provider?.grants.expireAccess();
    provider?.faults.push({ kind: "status", status: 503 }, { kind: "status", status: 503 });
    await pressDisconnect(visitor, world);
    await world.app.db.execute(
      sql`update accounts set retry_at = now(), failing_since = now() - interval '8 days'`,
    );
    await using other = await refreshingAs(world);
    await finishDisconnecting(other.app);
    expect(await accountIn(world)).toMatchObject({ state: "revoked", access: 0 });
  });
});

test("a crash between our commit and the provider leaves nothing usable, and is finished later", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const bearer = await mintBearer(visitor, world.url);
  const { id } = await accountIn(world);
  await using dying = await refreshingAs(world);
  const crash = new Error("the process ends here");
  const atStep = () => Promise.reject(crash);
  const ended = disconnect({ ...dying.app, atStep, applyRevocations: () => 0 }, id, {
    why: "test",
  });
  expect(await ended.catch((error: unknown) => error)).toBe(crash);
  expect(await accountIn(world)).toMatchObject({ state: "revoking" });
  await allActed(world.app.db);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(401);
  await using other = await refreshingAs(world);
  await finishDisconnecting(other.app);
  expect(await accountIn(world)).toMatchObject({ state: "revoked" });
  expect(world.sandbox.providers.get("mercadolibre")?.grants.live()).toBe(0);
});

test("connecting the seller again ends the disconnecting that was under way", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const provider = world.sandbox.providers.get("mercadolibre");
  provider?.grants.expireAccess();
  provider?.faults.push({ kind: "status", status: 503 });
  await pressDisconnect(visitor, world);
  await connectSeller(visitor, { url: world.url });
  expect(await accountIn(world)).toMatchObject({ state: "active" });
  await using other = await refreshingAs(world);
  await finishDisconnecting(other.app);
  const bearer = await mintBearer(visitor, world.url);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
});

test("nobody disconnects what is another person's, and no link does it", async () => {
  await using world = await openWorld();
  await newBearer({ url: world.url });
  const { id } = await accountIn(world);
  const stranger = newVisitor();
  expect((await stranger.get(`${world.url}/accounts/${id}/disconnect`)).status).toBe(401);
  await connectSeller(stranger, { url: world.url, seller: "100200301" });
  expect((await stranger.get(`${world.url}/accounts/${id}/disconnect`)).status).toBe(404);
  const form_token =
    /name="form_token" value="([^"]+)"/.exec(await (await stranger.get(world.url)).text())?.[1] ??
    "";
  const forged = await stranger.post(`${world.url}/accounts/${id}/disconnect`, { form_token });
  expect(forged.status).toBe(404);
  const bare = await stranger.post(`${world.url}/accounts/${id}/disconnect`, {});
  expect(bare.status).toBe(403);
  const states = await world.app.db.execute(sql`select distinct state from accounts`);
  expect([...states]).toEqual([{ state: "active" }]);
});
