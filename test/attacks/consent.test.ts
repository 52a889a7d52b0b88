import { expect, test } from "bun:test";
import {
  type Asking,
  agentRedirect,
  allow,
  authorizeUrl,
  authorizedAgent,
  formIn,
  newPkce,
  registerAgent,
} from "#test/support/agent-like.ts";
import {
  type Visitor,
  locationOf,
  mintBearer,
  newVisitor,
  walkToCallback,
} from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";
import { documentOf, openDevelopmentWorld, serveDocuments } from "./documents.ts";
import { agreements, connectedVisitor, startBeside } from "./setup.ts";

const english = { "accept-language": "en" };

/** The consent page of an agent that nobody has agreed to yet. */
async function consentPage(visitor: Visitor, asking: Asking) {
  const shown = await visitor.get(authorizeUrl(asking), english);
  const html = await shown.text();
  const form: Record<string, string> = { ...formIn(html), decision: "allow" };
  if (form["consent"] === undefined) throw new Error(`no consent page: ${shown.status} ${html}`);
  return { shown, html, form };
}

/** What a person reads of a page. */
function wordsOf(html: string): string {
  const body = html.slice(html.indexOf("<body>"));
  return body.replace(/<[^>]*>/g, "").replace(/\s+/g, " ");
}

test("CD-1: a newly registered client gets its own consent page, no code without it", async () => {
  await using world = await openWorld();
  const { visitor, clientId } = await authorizedAgent(world.url);
  const known = await visitor.get(authorizeUrl({ url: world.url, clientId, pkce: newPkce() }));
  expect(new URL(locationOf(known)).searchParams.get("code")).toStartWith("sd_cod_");

  const redirectUri = "https://attacker.example/callback";
  const attacker = await registerAgent(world.url, { redirect_uris: [redirectUri] });
  const asking = { url: world.url, clientId: attacker.client_id, pkce: newPkce(), redirectUri };
  const provider = world.sandbox.providers.get("mercadolibre")!;
  const before = [await agreements(world), provider.asked.authorization_code];
  const page = await visitor.get(authorizeUrl(asking));
  expect(page.status).toBe(200);
  expect(page.headers.get("location")).toBeNull();
  expect(await page.text()).toContain("attacker.example");
  const silent = await visitor.get(authorizeUrl({ ...asking, query: { prompt: "none" } }));
  const told = new URL(locationOf(silent)).searchParams;
  expect([told.get("error"), told.get("code")]).toEqual(["interaction_required", null]);
  expect([await agreements(world), provider.asked.authorization_code]).toEqual(before);
});

test("CD-2: neither the way to the provider nor a GET that pretends to be the form yields a code", async () => {
  await using world = await openWorld();
  const { client_id: clientId } = await registerAgent(world.url);
  const asking = { url: world.url, clientId, pkce: newPkce() };
  const wanted = authorizeUrl(asking).slice(world.url.length);
  const visitor = newVisitor();
  const query = `&${new URLSearchParams({ continue: wanted }).toString()}`;
  const connected = await visitor.get(await walkToCallback(visitor, { url: world.url, query }));
  expect(locationOf(connected)).toBe(wanted);
  const { form } = await consentPage(visitor, asking);
  const forged = new URLSearchParams(form).toString();
  for (const path of [`${wanted}&${forged}`, `/authorize?${forged}`, `/consent?${forged}`]) {
    const answer = await visitor.get(`${world.url}${path}`);
    expect(answer.headers.get("location") ?? "").not.toContain("code=sd_cod_");
  }
  for (const method of ["PUT", "DELETE", "PATCH"]) {
    const headers = { cookie: [...visitor.cookies].map((pair) => pair.join("=")).join("; ") };
    const init = { method, headers, body: new URLSearchParams(form), redirect: "manual" } as const;
    expect([404, 405]).toContain((await fetch(`${world.url}/authorize`, init)).status);
  }
  expect(await agreements(world)).toBe(0);
});

test("CD-3: a consent without our form token, with another person's, or from elsewhere changes nothing", async () => {
  await using world = await openWorld();
  const { client_id: clientId } = await registerAgent(world.url);
  const asking = { url: world.url, clientId, pkce: newPkce() };
  const victim = await connectedVisitor(world.url);
  const attacker = await connectedVisitor(world.url, "100200301");
  const { form } = await consentPage(victim, asking);
  const foreign = (await consentPage(attacker, asking)).form;
  const { form_token: _, ...withoutToken } = form;
  const { consent: __, ...withoutConsent } = form;
  const forms: readonly Record<string, string>[] = [
    withoutToken,
    withoutConsent,
    { ...form, form_token: "" },
    { ...form, form_token: foreign["form_token"]! },
    { ...form, consent: foreign["consent"]! },
    foreign,
  ];
  for (const each of forms) {
    const refused = await victim.post(`${world.url}/authorize`, each);
    expect([refused.status, refused.headers.get("location")]).toEqual([403, null]);
  }
  const cookie = [...victim.cookies].map((pair) => pair.join("=")).join("; ");
  for (const origin of ["https://attacker.example", "null"]) {
    const init = { method: "POST", headers: { cookie, origin }, body: new URLSearchParams(form) };
    expect((await fetch(`${world.url}/authorize`, init)).status).toBe(403);
  }
  const stranger = await newVisitor().post(`${world.url}/authorize`, form);
  expect(stranger.status).toBe(401);
  expect(await agreements(world)).toBe(0);
  expect((await victim.post(`${world.url}/authorize`, form)).status).toBe(303);
});

test("CD-3: a person cannot agree with an account of another person", async () => {
  await using world = await openWorld();
  const { client_id: clientId } = await registerAgent(world.url);
  const asking = { url: world.url, clientId, pkce: newPkce() };
  const theirs = (await consentPage(await connectedVisitor(world.url), asking)).form["account"]!;
  const visitor = await connectedVisitor(world.url, "100200301");
  const { form } = await consentPage(visitor, asking);
  const refused = await visitor.post(`${world.url}/authorize`, { ...form, account: theirs });
  expect([404, 409]).toContain(refused.status);
  expect(refused.headers.get("location")).toBeNull();
  expect(await agreements(world)).toBe(0);
});

test("CD-4: no page on which a person decides can be framed", async () => {
  await using world = await openWorld();
  const { client_id: clientId } = await registerAgent(world.url);
  const address = authorizeUrl({ url: world.url, clientId, pkce: newPkce() });
  const visitor = await connectedVisitor(world.url);
  const pages = [
    await visitor.get(address),
    await newVisitor().get(address),
    await visitor.get(`${world.url}/device`),
    await visitor.get(`${world.url}/`),
    await visitor.get(`${address}&client_id=twice`),
  ];
  for (const { headers } of pages) {
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("x-frame-options")).toBe("DENY");
  }
  expect(pages.map(({ status }) => status)).toEqual([200, 200, 200, 200, 400]);
});

test("CD-5: a consent token is for one person, one request and 15 minutes, and cannot be altered", async () => {
  await using world = await openWorld();
  await using gateway = await startBeside(world);
  const { url } = gateway;
  const visitor = await connectedVisitor(url);
  const one = await registerAgent(url);
  const redirectUri = "https://attacker.example/callback";
  const other = await registerAgent(url, { redirect_uris: [redirectUri] });
  const asking = { url, clientId: one.client_id, pkce: newPkce(), query: { scope: "mcp:read" } };
  const { form } = await consentPage(visitor, asking);
  const queryOf = (changed: Partial<Asking>) =>
    new URL(authorizeUrl({ ...asking, ...changed })).search.slice(1);
  const [at = "", tag = ""] = form["consent"]!.split(".");
  const later = (Number.parseInt(at, 36) + 60_000).toString(36);
  const altered: readonly Record<string, string>[] = [
    { query: queryOf({ clientId: other.client_id, redirectUri }) },
    { query: queryOf({ query: { scope: "mcp:read mcp:call" } }) },
    { query: queryOf({ pkce: newPkce() }) },
    { query: queryOf({ query: { scope: "mcp:read", state: "s2" } }) },
    { consent: `${later}.${tag}` },
    { consent: `${at}.${tag.startsWith("A") ? "B" : "A"}${tag.slice(1)}` },
    { consent: `${at}.` },
    { consent: "." },
  ];
  for (const change of altered) {
    const refused = await visitor.post(`${url}/authorize`, { ...form, ...change });
    expect([refused.status, refused.headers.get("location")]).toEqual([403, null]);
    expect(await refused.text()).toContain("consent_expired");
  }
  gateway.advance(15 * 60_000 + 1000);
  expect((await visitor.post(`${url}/authorize`, form)).status).toBe(403);
  expect(await agreements(world)).toBe(0);
  gateway.advance(-2 * 60_000);
  expect((await visitor.post(`${url}/authorize`, form)).status).toBe(303);
});

test("CD-5: every cookie is of this host alone, for https alone, hidden from scripts and not sent along from elsewhere", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  const begun = await visitor.get(`${world.url}/auth/authorize?provider=mercadolibre`);
  const connected = await visitor.get(await walkToCallback(visitor, { url: world.url }));
  const cookies = [begun, connected].flatMap(({ headers }) => headers.getSetCookie());
  expect(cookies).toHaveLength(2);
  for (const cookie of cookies) {
    expect(cookie).toMatch(
      /^__Host-smartdash-\w+=[\w-]{43,}; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=\d+$/,
    );
  }
});

test("CD-6: the consent page names the client, the scopes and where the answer goes, all of it escaped", async () => {
  await using world = await openWorld();
  const visitor = await connectedVisitor(world.url);
  const name = '<script>alert(1)</script>"><b>Bank\u202E\nof';
  const { client_id: clientId } = await registerAgent(world.url, { client_name: name });
  const asking = { url: world.url, clientId, pkce: newPkce(), query: { scope: "mcp:call" } };
  const { html } = await consentPage(visitor, asking);
  expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
  expect(html).not.toMatch(/<script|<b>Bank|\u202E/);
  const words = wordsOf(html);
  expect(words).toContain("gave itself this name; nobody has verified it");
  expect(words).toContain("answer goes to agent.example");
  expect(words).toContain("use the tools: look up and change what is in the account");
  expect(words).not.toContain("read resources");
  expect(words).toContain("TIENDA_DEMO");
  expect(words).not.toContain("any program could pretend");
});

test("CD-6: a client on this machine comes with a warning, a document with the host it stands on", async () => {
  await using world = await openDevelopmentWorld();
  const visitor = await connectedVisitor(world.url);
  const redirectUri = "http://127.0.0.1:7777/callback";
  const local = await registerAgent(world.url, { redirect_uris: [redirectUri] });
  const asking = { url: world.url, pkce: newPkce() };
  const here = await consentPage(visitor, { ...asking, clientId: local.client_id, redirectUri });
  expect(wordsOf(here.html)).toContain("any program could pretend to be it");
  expect(wordsOf(here.html)).toContain("answer goes to 127.0.0.1");
  await using served = serveDocuments((path, origin) =>
    Response.json(documentOf(`${origin}${path}`, { client_name: "Claude" })),
  );
  const clientId = `${served.origin}/client.json`;
  const { html } = await consentPage(visitor, { ...asking, clientId });
  expect(wordsOf(html)).toContain(`Identified by ${new URL(clientId).host}.`);
});

test("CD-7: a callback needs the state of this browser, once and within 15 minutes", async () => {
  await using world = await openWorld();
  await using gateway = await startBeside(world);
  const { url } = gateway;
  const provider = world.sandbox.providers.get("mercadolibre")!;
  const visitor = newVisitor();
  const callback = await walkToCallback(visitor, { url });
  const code = new URL(callback).searchParams.get("code")!;
  const refusedAs = async (by: Visitor, address: string) => {
    const answer = await by.get(address);
    const word = /state_\w+/.exec(await answer.text())?.[0];
    return [answer.status, word, answer.headers.get("location")];
  };
  expect(await refusedAs(visitor, `${url}/auth/callback?code=${code}`)).toEqual([
    400,
    "state_missing",
    null,
  ]);
  const unknown = `${url}/auth/callback?code=${code}&state=${"A".repeat(43)}`;
  expect(await refusedAs(visitor, unknown)).toEqual([400, "state_unknown", null]);
  expect(await refusedAs(newVisitor(), callback)).toEqual([400, "state_foreign", null]);
  const other = newVisitor();
  await walkToCallback(other, { url });
  expect(await refusedAs(other, callback)).toEqual([400, "state_foreign", null]);
  expect(provider.asked.authorization_code).toBe(0);
  expect((await visitor.get(callback)).status).toBe(303);
  expect(await refusedAs(visitor, callback)).toEqual([400, "state_unknown", null]);
  const late = await walkToCallback(visitor, { url });
  gateway.advance(15 * 60_000 + 1000);
  expect(await refusedAs(visitor, late)).toEqual([400, "state_expired", null]);
  expect(provider.asked.authorization_code).toBe(1);
});

test("CD-7: the browser's cookie is set with the redirect to the provider, not by any page before it", async () => {
  await using world = await openWorld();
  const { client_id: clientId } = await registerAgent(world.url);
  const address = authorizeUrl({ url: world.url, clientId, pkce: newPkce() });
  for (const path of [address, `${world.url}/`, `${world.url}/device`]) {
    expect((await fetch(path, { redirect: "manual" })).headers.getSetCookie()).toEqual([]);
  }
  const begun = await newVisitor().get(`${world.url}/auth/authorize?provider=mercadolibre`);
  expect(begun.status).toBe(303);
  expect(locationOf(begun)).toStartWith(world.sandbox.origin);
  expect(begun.headers.getSetCookie().join()).toStartWith("__Host-smartdash-browser=");
});

test("CD-8: other scopes than those agreed to are asked about again", async () => {
  await using world = await openWorld();
  const { visitor, clientId } = await authorizedAgent(world.url, { query: { scope: "mcp:read" } });
  const asking = { url: world.url, clientId, pkce: newPkce() };
  const statusFor = async (scope: string) =>
    (await visitor.get(authorizeUrl({ ...asking, query: { scope } }))).status;
  expect(await statusFor("mcp:read")).toBe(303);
  expect(await statusFor("mcp:read mcp:call")).toBe(200);
  expect(await statusFor("mcp:call")).toBe(200);
  expect((await visitor.get(authorizeUrl(asking))).status).toBe(200);
  const elsewhere = { scope: "mcp:read", resource: `${world.url}/mcp/supabase` };
  expect((await visitor.get(authorizeUrl({ ...asking, query: elsewhere }))).status).toBe(200);
});

test("CD-9: a document that has changed its name, redirect URIs or keys is asked about again", async () => {
  await using world = await openDevelopmentWorld();
  await using gateway = await startBeside(world);
  const { url } = gateway;
  let more: Record<string, unknown> = {};
  await using served = serveDocuments((path, origin) =>
    Response.json(documentOf(`${origin}${path}`, more), {
      headers: { "cache-control": "no-store" },
    }),
  );
  const clientId = `${served.origin}/client.json`;
  const visitor = await connectedVisitor(url);
  const asking = { url, clientId, pkce: newPkce() };
  const opened = async () => {
    gateway.advance(61_000);
    return (await visitor.get(authorizeUrl(asking))).status;
  };
  const agree = async () =>
    expect((await allow(visitor, asking)).searchParams.has("code")).toBe(true);
  await agree();
  expect(await opened()).toBe(303);
  const elsewhere = ["https://agent.example/callback", "https://elsewhere.example/callback"];
  const changes: readonly Readonly<Record<string, unknown>>[] = [
    { client_name: "Another name" },
    { redirect_uris: elsewhere },
    { jwks: { keys: [{ kty: "OKP", crv: "Ed25519", x: "A".repeat(43) }] } },
    { jwks_uri: "https://elsewhere.example/jwks.json" },
  ];
  for (const change of changes) {
    Object.assign(more, change);
    expect(await opened()).toBe(200);
    await agree();
    expect(await opened()).toBe(303);
  }
  more = { redirect_uris: ["https://elsewhere.example/callback"] };
  expect(await opened()).toBe(400);
});

test("CD-9: a document whose answer goes to a program of some computer is asked about each time", async () => {
  await using world = await openDevelopmentWorld();
  const redirectUri = "http://127.0.0.1:7777/callback";
  await using served = serveDocuments((path, origin) =>
    Response.json(documentOf(`${origin}${path}`, { redirect_uris: [redirectUri, agentRedirect] })),
  );
  const clientId = `${served.origin}/client.json`;
  const visitor = await connectedVisitor(world.url);
  const asking = { url: world.url, clientId, pkce: newPkce(), redirectUri };
  expect((await allow(visitor, asking)).searchParams.has("code")).toBe(true);
  expect((await visitor.get(authorizeUrl(asking))).status).toBe(200);
});

test("CD-10: the link to connect again binds nothing to another person who opens it", async () => {
  await using world = await openWorld();
  const owner = await connectedVisitor(world.url);
  const bearer = await mintBearer(owner, world.url);
  const other = await connectedVisitor(world.url, "100200301");
  const provider = world.sandbox.providers.get("mercadolibre")!;
  provider.grants.revoke("100200300");
  const answer = await (await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).text();
  const link = /http:[^"\s)]+\/reconnect/.exec(answer)![0];
  expect(link).toMatch(/\/accounts\/[\w-]+\/reconnect$/);
  const accounts = () =>
    world.app.db.execute("select id, person_id, seller_id, state from accounts order by id");
  const before = await accounts();
  const refused = await other.get(link);
  expect([refused.status, refused.headers.get("location")]).toEqual([403, null]);
  expect(refused.headers.getSetCookie()).toEqual([]);
  expect(await refused.text()).toContain("wrong_person");

  const unknown = newVisitor();
  const begun = await unknown.get(link);
  const decided = await unknown.post(locationOf(begun), { seller: "100200301" });
  expect((await unknown.get(locationOf(decided))).status).toBe(409);
  expect([...(await accounts())]).toEqual([...before]);

  const decidedByOwner = await owner.post(locationOf(await owner.get(link)), {
    seller: "100200300",
  });
  expect((await owner.get(locationOf(decidedByOwner))).status).toBe(303);
  expect(await (await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).text()).toContain(
    "TIENDA_DEMO",
  );
});

test("CD-10: a link of another site connects nothing to the person who is signed in", async () => {
  await using world = await openWorld();
  const victim = await connectedVisitor(world.url);
  const begun = await victim.get(`${world.url}/auth/authorize?provider=mercadolibre&link=x`);
  const decided = await victim.post(locationOf(begun), { seller: "100200301" });
  await victim.get(locationOf(decided));
  const rows = await world.app.db.execute<{ person_id: string }>("select person_id from accounts");
  expect(new Set(rows.map(({ person_id }) => person_id)).size).toBe(2);
});
