import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import {
  connectSeller,
  locationOf,
  mintBearer,
  newVisitor,
  walkToCallback,
} from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";

async function accountsIn(world: World) {
  return await world.app.db.execute<{
    id: string;
    person_id: string;
    seller_id: string;
    generation: number;
    state: string;
  }>(sql`select * from accounts order by created_at`);
}

test("the browser is sent to the country's site with state and PKCE, and a cookie that only this host gets", async () => {
  await using world = await openWorld();
  const response = await newVisitor().get(`${world.url}/auth/authorize?provider=mercadolibre`);
  const asked = new URL(locationOf(response)).searchParams;
  expect(asked.get("code_challenge_method")).toBe("S256");
  expect(asked.get("code_challenge")).toMatch(/^[\w-]{43}$/);
  expect(asked.get("state")).toMatch(/^[\w-]{43}$/);
  expect(asked.get("redirect_uri")).toBe(`${world.url}/auth/callback`);
  expect(response.headers.getSetCookie().join()).toMatch(
    /^__Host-smartdash-browser=\S+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=900$/,
  );
  const rows = await world.app.db.execute(sql`select * from connect_attempts`);
  expect(JSON.stringify(rows)).not.toContain(asked.get("state") ?? "?");
});

test("a site is a country's host, and an unknown one is refused with the list", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_PROVIDERS: "{}" } });
  const brazil = await newVisitor().get(
    `${world.url}/auth/authorize?provider=mercadolibre&site=MLB`,
  );
  expect(new URL(locationOf(brazil)).host).toBe("auth.mercadolivre.com.br");
  const nowhere = await fetch(`${world.url}/auth/authorize?provider=mercadolibre&site=ZZZ`);
  expect(nowhere.status).toBe(400);
  expect(await nowhere.json()).toMatchObject({ error: "site_unknown" });
});

test("PKCE is left out when the application has it switched off", async () => {
  await using world = await openWorld({ environment: { MELI_PKCE: "off" } });
  const visitor = newVisitor();
  const begun = await visitor.get(`${world.url}/auth/authorize?provider=mercadolibre`);
  expect(new URL(locationOf(begun)).searchParams.has("code_challenge")).toBe(false);
  await connectSeller(newVisitor(), { url: world.url });
});

test("a state works once", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  const callback = await walkToCallback(visitor, { url: world.url });
  expect((await visitor.get(callback)).status).toBe(303);
  const again = await visitor.get(callback);
  expect(again.status).toBe(400);
  expect(await again.text()).toContain("state_unknown");
});

test("two callbacks with one state at the same time connect once", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  const callback = await walkToCallback(visitor, { url: world.url });
  const answers = await Promise.all(Array.from({ length: 10 }, () => visitor.get(callback)));
  expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
  expect(await accountsIn(world)).toHaveLength(1);
});

test("a callback in another browser is refused and does not use the attempt up", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  const callback = await walkToCallback(visitor, { url: world.url });
  const foreign = await newVisitor().get(callback);
  expect(foreign.status).toBe(400);
  expect(await foreign.text()).toContain("state_foreign");
  expect((await visitor.get(callback)).status).toBe(303);
});

test("a missing, unknown or expired state is told apart", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  expect(await (await visitor.get(`${world.url}/auth/callback?code=x`)).text()).toContain(
    "state_missing",
  );
  expect(await (await visitor.get(`${world.url}/auth/callback?code=x&state=abc`)).text()).toContain(
    "state_unknown",
  );
  const callback = await walkToCallback(visitor, { url: world.url });
  await world.app.db.execute(
    sql`update connect_attempts set expires_at = now() - interval '1 second'`,
  );
  const expired = await (await visitor.get(callback)).text();
  expect(expired).toContain("state_expired");
  expect(expired).toContain("/auth/authorize?provider=mercadolibre");
});

test("a person who declines reads so in their own language", async () => {
  await using world = await openWorld();
  const words = {
    "es-AR,es;q=0.9": "No autorizaste",
    "pt-BR": "Você não autorizou",
    "fr, en;q=0.5": "You did not allow",
  };
  for (const [language, text] of Object.entries(words)) {
    const visitor = newVisitor();
    const callback = await walkToCallback(visitor, { url: world.url, seller: "" });
    const page = await visitor.get(callback, { "accept-language": language });
    expect(page.status).toBe(403);
    expect(await page.text()).toContain(text);
  }
});

test("words from a provider never reach the page", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  const begun = await visitor.get(`${world.url}/auth/authorize?provider=mercadolibre`);
  const state = new URL(locationOf(begun)).searchParams.get("state") ?? "";
  const query = new URLSearchParams({
    state,
    error: "<script>x</script>",
    error_description: "<b>evil</b>",
  });
  const page = await (await visitor.get(`${world.url}/auth/callback?${query.toString()}`)).text();
  expect(page).not.toContain("<script>");
  expect(page).not.toContain("evil");
  expect(page).toContain("unknown");
});

test("connecting the same seller again replaces the credential in the same row", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const [before] = await accountsIn(world);
  await connectSeller(visitor, { url: world.url });
  const after = await accountsIn(world);
  expect(after).toHaveLength(1);
  expect(after[0]).toMatchObject({ id: before?.id, generation: 100_000, state: "active" });
});

test("whoever holds the seller's account is signed in as its person, from any browser", async () => {
  await using world = await openWorld();
  await connectSeller(newVisitor(), { url: world.url });
  const elsewhere = newVisitor();
  await connectSeller(elsewhere, { url: world.url });
  expect(await accountsIn(world)).toHaveLength(1);
  expect(await (await elsewhere.get(`${world.url}/`)).text()).toContain("TIENDA_DEMO");
});

test("connecting another seller than the expected one says so and changes nothing", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const [before] = await accountsIn(world);
  const again = before?.id;
  const callback = await walkToCallback(visitor, { url: world.url, seller: "100200301", again });
  const page = await visitor.get(callback, { "accept-language": "es" });
  expect(page.status).toBe(409);
  expect(await page.text()).toContain("con otra cuenta (100200301) que la esperada (100200300)");
  const after = await accountsIn(world);
  expect(after).toHaveLength(1);
  expect(after[0]).toMatchObject({ ...before });
});

test("a seller that another person connected stays theirs", async () => {
  await using world = await openWorld();
  await connectSeller(newVisitor(), { url: world.url });
  const other = newVisitor();
  await connectSeller(other, { url: world.url, seller: "100200301" });
  const page = await other.get(await walkToCallback(other, { url: world.url }));
  expect(page.status).toBe(409);
  const rows = await accountsIn(world);
  expect(new Set(rows.map(({ person_id }) => person_id)).size).toBe(2);
});

test("a code that the provider does not honour stores nothing", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  const callback = new URL(await walkToCallback(visitor, { url: world.url }));
  callback.searchParams.set("code", "TG-invented");
  const page = await visitor.get(callback.href);
  expect(page.status).toBe(502);
  expect(await page.text()).toContain("invalid_grant");
  expect(await accountsIn(world)).toHaveLength(0);
});

test("Airtable: Basic authentication, PKCE, identity by call, its spaced token_type", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url, provider: "airtable" });
  const [account] = await accountsIn(world);
  expect(account).toMatchObject({ seller_id: "usr100200300", provider: "airtable" });
  const bearer = await mintBearer(visitor, world.url);
  expect(
    await (await post(`${world.url}/mcp/airtable`, bearer, toolCall("whoami"))).text(),
  ).toContain("TIENDA_DEMO");
});

test("the callback lives at the path of the configured redirect URI", async () => {
  await using world = await openWorld({
    environment: {
      PORT: "18473",
      MELI_REDIRECT_URI: "http://localhost:18473/api/auth/mercadolibre/callback",
    },
  });
  const visitor = newVisitor();
  const callback = await walkToCallback(visitor, { url: world.url });
  expect(new URL(callback).pathname).toBe("/api/auth/mercadolibre/callback");
  const elsewhere = callback.replace("/api/auth/mercadolibre/callback", "/auth/callback");
  expect((await visitor.get(elsewhere)).status).toBe(400);
  await connectSeller(newVisitor(), { url: world.url });
});

test("a link that names no provider means the default upstream's, as in the owner's examples", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_DEFAULT_UPSTREAM: "airtable" } });
  const begun = await newVisitor().get(`${world.url}/auth/authorize?platform=chatgpt`);
  expect(locationOf(begun)).toContain("/airtable/authorize");
});

test("a visit under another loopback name is sent to the public one first", async () => {
  await using world = await openWorld();
  const other = world.url.replace("localhost", "127.0.0.1");
  const sent = await fetch(`${other}/auth/authorize?provider=airtable`, { redirect: "manual" });
  expect(sent.headers.get("location")).toBe(`${world.url}/auth/authorize?provider=airtable`);
});
