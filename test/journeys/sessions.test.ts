import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { sql } from "drizzle-orm";
import { endSession } from "#src/oauth-server/sessions/session.ts";
import { connectSeller, mintBearer, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";

test("a bearer is kept as a fingerprint alone and lasts 30 days", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const rows = await world.app.db.execute<{ days: number; all: string }>(
    sql`select round(extract(epoch from expires_at - now()) / 86400)::int as days, sessions::text as all from sessions`,
  );
  expect(rows[0]?.days).toBe(30);
  expect(rows[0]?.all).not.toContain(bearer);
  expect(rows[0]?.all).not.toContain(Buffer.from(bearer).toString("hex"));
});

test("an ended session is refused at once", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const bearer = await mintBearer(visitor, world.url);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  const home = await (await visitor.get(`${world.url}/`)).text();
  const form_token = /form_token" value="([^"]+)"/.exec(home)?.[1] ?? "";
  const path = /action="(\/sessions\/[^"]+\/end)"/.exec(home)?.[1] ?? "";
  expect((await visitor.post(`${world.url}${path}`, { form_token })).status).toBe(303);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(401);
});

test("nobody can end or mint for somebody else", async () => {
  await using world = await openWorld();
  const owner = newVisitor();
  await connectSeller(owner, { url: world.url });
  const bearer = await mintBearer(owner, world.url);
  const stranger = newVisitor();
  await connectSeller(stranger, { url: world.url, seller: "100200301" });
  const token =
    /form_token" value="([^"]+)"/.exec(await (await stranger.get(`${world.url}/`)).text())?.[1] ??
    "";
  const theirs = await (await owner.get(`${world.url}/`)).text();
  const path = /action="(\/sessions\/[^"]+\/end)"/.exec(theirs)?.[1] ?? "";
  const account = /name="account" value="([^"]+)"/.exec(theirs)?.[1] ?? "";
  await stranger.post(`${world.url}${path}`, { form_token: token });
  // Their streams go on, too: nothing is told to anybody.
  const told: unknown[] = [];
  const asked = { id: path.split("/")[2] ?? "", personId: randomUUID() };
  const app = { ...world.app, applyRevocations: (topics: unknown) => told.push(topics) };
  await endSession(app, asked);
  expect([asked.id.length, told]).toEqual([36, []]);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  expect(
    (await stranger.post(`${world.url}/sessions`, { form_token: token, account })).status,
  ).toBe(404);
});

test("a form without the page's token, or with another browser's, is refused", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const account =
    /name="account" value="([^"]+)"/.exec(await (await visitor.get(`${world.url}/`)).text())?.[1] ??
    "";
  for (const form_token of ["", "x".repeat(43)]) {
    const refused = await visitor.post(`${world.url}/sessions`, { form_token, account });
    expect(refused.status).toBe(403);
  }
  expect((await newVisitor().post(`${world.url}/sessions`, { account })).status).toBe(401);
});

test("signing out ends the sign-in, not the agents' sessions", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const bearer = await mintBearer(visitor, world.url);
  const old = new Map(visitor.cookies);
  const form_token =
    /form_token" value="([^"]+)"/.exec(await (await visitor.get(`${world.url}/`)).text())?.[1] ??
    "";
  await visitor.post(`${world.url}/sign-out`, { form_token });
  for (const [name, value] of old) visitor.cookies.set(name, value);
  expect(await (await visitor.get(`${world.url}/`)).text()).not.toContain("TIENDA_DEMO");
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
});

test("an expired session is refused", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  await world.app.db.execute(sql`update sessions set expires_at = now() - interval '1 second'`);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(401);
});

test("pages forbid scripts, frames and caches", async () => {
  await using world = await openWorld();
  const page = await newVisitor().get(`${world.url}/`);
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain("unsafe-inline");
  expect(page.headers.get("cache-control")).toBe("no-store");
});
