import { expect, test } from "bun:test";
import { decodeJwt } from "jose";
import { addRobot } from "#test/support/robot.ts";
import {
  type Asking,
  type Tokens,
  agentRedirect,
  allow,
  authorizeUrl,
  authorizedAgent,
  formIn,
  newPkce,
  redeem,
  refresh,
  registerAgent,
  tokenRequest,
} from "#test/support/agent-like.ts";
import { type Visitor, locationOf, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";
import { ask, documentOf, isAccepted, openDevelopmentWorld, serveDocuments } from "./documents.ts";
import { agreements, connectedVisitor, openSpied } from "./setup.ts";

/** What an answer says, without following it. */
async function answered(visitor: Visitor, asking: Asking) {
  const answer = await visitor.get(authorizeUrl(asking));
  return { status: answer.status, location: answer.headers.get("location") };
}

async function toldOf(response: Response): Promise<readonly [number, string | undefined]> {
  return [response.status, ((await response.json()) as { error?: string }).error];
}

const alike = [
  "https://agent.example/callback/",
  "https://agent.example/callback/more",
  "https://agent.example/callbac",
  "https://agent.example/",
  "https://agent.example/callback?extra=1",
  "https://agent.example/callback?",
  "https://agent.example/callback#fragment",
  "https://agent.example/callback#",
  "https://agent.example/Callback",
  "https://AGENT.example/callback",
  "HTTPS://agent.example/callback",
  "https://agent.example/x/../callback",
  "https://agent.example/%63allback",
  "https://agent.example//callback",
  "https://agent.example:443/callback",
  "https://agent.example:8443/callback",
  "https://agent.example./callback",
  "https://user@agent.example/callback",
  "https://agent.example@evil.example/callback",
  "https://agent.example.evil.example/callback",
  "https://evil.example/https://agent.example/callback",
  "https://evil.example\\@agent.example/callback",
  "http://agent.example/callback",
  "//agent.example/callback",
  "/callback",
  " https://agent.example/callback",
  "https://agent.example/callback\n",
  "javascript:alert(1)",
  "",
];

test("OA-1: a redirect URI that only resembles the registered one is shown to the person and followed by nobody", async () => {
  await using world = await openWorld();
  const visitor = await connectedVisitor(world.url);
  const { client_id: clientId } = await registerAgent(world.url);
  const asking = { url: world.url, clientId, pkce: newPkce() };
  for (const redirectUri of alike) {
    const { status, location } = await answered(visitor, { ...asking, redirectUri });
    expect([redirectUri, status, location]).toEqual([redirectUri, 400, null]);
  }
  const { redirect_uri: _, ...absent } = { redirect_uri: undefined };
  const missing = { ...asking, query: { ...absent, redirect_uri: undefined } };
  expect(await answered(visitor, missing)).toEqual({ status: 400, location: null });
  const twice = `${authorizeUrl(asking)}&redirect_uri=${encodeURIComponent("https://evil.example/")}`;
  expect((await visitor.get(twice)).status).toBe(400);
  expect((await answered(visitor, asking)).status).toBe(200);
});

test("OA-1: on this machine the port may vary, and nothing else", async () => {
  await using world = await openWorld();
  const visitor = await connectedVisitor(world.url);
  const { client_id: clientId } = await registerAgent(world.url, {
    redirect_uris: ["http://127.0.0.1:8123/callback?a=1"],
  });
  const statusOf = async (redirectUri: string) =>
    (await answered(visitor, { url: world.url, clientId, pkce: newPkce(), redirectUri })).status;
  expect(await statusOf("http://127.0.0.1:9999/callback?a=1")).toBe(200);
  expect(await statusOf("http://[::1]:9999/callback?a=1")).toBe(200);
  for (const redirectUri of [
    "http://127.0.0.1:8123/callback",
    "http://127.0.0.1:8123/callback?a=2",
    "http://127.0.0.1:8123/callback?a=1&b=2",
    "http://127.0.0.1:8123/x/../callback?a=1",
    "http://127.0.0.1:8123/%63allback?a=1",
    "https://127.0.0.1:8123/callback?a=1",
    "http://127.0.0.2:8123/callback?a=1",
    "http://127.1:8123/callback?a=1",
    "http://2130706433:8123/callback?a=1",
    "http://0.0.0.0:8123/callback?a=1",
    "http://user@127.0.0.1:8123/callback?a=1",
    "http://127.0.0.1:8123@evil.example/callback?a=1",
    "http://127.0.0.1.evil.example:8123/callback?a=1",
    "http://localhost.evil.example:8123/callback?a=1",
  ]) {
    expect([redirectUri, await statusOf(redirectUri)]).toEqual([redirectUri, 400]);
  }
});

test("OA-2: no code without PKCE in its strong form", async () => {
  await using world = await openWorld();
  const visitor = await connectedVisitor(world.url);
  const { client_id: clientId } = await registerAgent(world.url);
  const pkce = newPkce();
  const weak: readonly NonNullable<Asking["query"]>[] = [
    { code_challenge: undefined, code_challenge_method: undefined },
    { code_challenge_method: "plain" },
    { code_challenge_method: undefined },
    { code_challenge_method: "s256" },
    { code_challenge: "short" },
    { code_challenge: "" },
    { code_challenge: `${pkce.challenge}=` },
  ];
  for (const query of weak) {
    const { location } = await answered(visitor, { url: world.url, clientId, pkce, query });
    const told = new URL(location!);
    expect(told.href).toStartWith(`${agentRedirect}?`);
    expect([told.searchParams.get("error"), told.searchParams.get("code")]).toEqual([
      "invalid_request",
      null,
    ]);
  }
  expect(await agreements(world)).toBe(0);
});

test("OA-2: a code is for its client, verifier, redirect URI and resource, and for one time", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { url } = world;
  const visitor = await connectedVisitor(url);
  const { client_id: clientId } = await registerAgent(url);
  const stranger = await registerAgent(url);
  const pkce = newPkce();
  const back = await allow(visitor, { url, clientId, pkce });
  const code = back.searchParams.get("code")!;
  const right = { grant_type: "authorization_code", client_id: clientId, code };
  const full = { ...right, redirect_uri: agentRedirect, code_verifier: pkce.verifier };
  const { code_verifier: _, ...withoutVerifier } = full;
  const wrong: readonly (readonly [Record<string, string>, string])[] = [
    [{ ...full, code_verifier: newPkce().verifier }, "invalid_grant"],
    [{ ...full, code_verifier: pkce.challenge }, "invalid_grant"],
    [{ ...full, code_verifier: "" }, "invalid_request"],
    [withoutVerifier, "invalid_request"],
    [{ ...full, client_id: stranger.client_id }, "invalid_grant"],
    [{ ...full, redirect_uri: "https://evil.example/callback" }, "invalid_grant"],
    [{ ...full, redirect_uri: `${agentRedirect}/` }, "invalid_grant"],
    [{ ...full, resource: `${url}/mcp/airtable` }, "invalid_target"],
    [{ ...full, resource: "https://evil.example/mcp" }, "invalid_target"],
    [{ ...full, code: `${code}x` }, "invalid_grant"],
  ];
  for (const [fields, error] of wrong) {
    expect(await toldOf(await tokenRequest(url, fields))).toEqual([400, error]);
  }
  const tokens = (await (await tokenRequest(url, full)).json()) as Tokens;
  const call = () => post(`${url}/mcp`, tokens.access_token, toolCall("echo"));
  expect((await call()).status).toBe(200);
  expect(await toldOf(await tokenRequest(url, full))).toEqual([400, "invalid_grant"]);
  expect((await call()).status).toBe(401);
  expect(upstream.seen).toHaveLength(1);
  const dead = await refresh(url, { clientId, refreshToken: tokens.refresh_token });
  expect(await toldOf(dead)).toEqual([400, "invalid_grant"]);
});

test("OA-2: of many who redeem one code at once, one gets tokens, and they end with the rest", async () => {
  await using world = await openWorld();
  const visitor = await connectedVisitor(world.url);
  const { client_id: clientId } = await registerAgent(world.url);
  const pkce = newPkce();
  const code = (await allow(visitor, { url: world.url, clientId, pkce })).searchParams.get("code")!;
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => redeem(world.url, { clientId, code, pkce })),
  );
  const won = answers.filter(({ status }) => status === 200);
  expect(won.length).toBeLessThanOrEqual(1);
  for (const answer of won) {
    const { access_token } = (await answer.json()) as Tokens;
    expect((await post(`${world.url}/mcp`, access_token, toolCall("whoami"))).status).toBe(401);
  }
});

test("OA-2: a device code is of no use to another client", async () => {
  await using world = await openWorld();
  const grant_type = "urn:ietf:params:oauth:grant-type:device_code";
  const grant_types = [grant_type, "refresh_token"];
  const [one, other] = [
    await registerAgent(world.url, { grant_types }),
    await registerAgent(world.url, { grant_types }),
  ];
  const asked = await fetch(`${world.url}/device_authorization`, {
    method: "POST",
    body: new URLSearchParams({ client_id: one.client_id }),
  });
  const { device_code } = (await asked.json()) as { device_code: string };
  const told = async (client_id: string) => {
    const answer = await tokenRequest(world.url, { grant_type, device_code, client_id });
    return ((await answer.json()) as { error: string }).error;
  };
  expect(await told(other.client_id)).toBe("invalid_grant");
  expect(await told(one.client_id)).toBe("authorization_pending");
});

test("OA-3: addresses that run code or lead to unknown programs cannot be registered", async () => {
  await using world = await openWorld();
  const register = (metadata: Readonly<Record<string, unknown>>) =>
    fetch(`${world.url}/register`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ redirect_uris: [agentRedirect], ...metadata }),
    });
  for (const uri of [
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://agent.example/1",
    "about:blank",
    "unheard-of:callback",
    "com.example.app://callback",
    "http://agent.example/callback",
    "https://user:word@agent.example/callback",
    "https://agent.example/#x",
    "//agent.example/",
    "",
  ]) {
    expect([uri, ...(await toldOf(await register({ redirect_uris: [uri] })))]).toEqual([
      uri,
      400,
      "invalid_redirect_uri",
    ]);
  }
  const mixed = await register({ redirect_uris: [agentRedirect, "javascript:alert(1)"] });
  expect(await toldOf(mixed)).toEqual([400, "invalid_redirect_uri"]);
  for (const field of ["client_uri", "logo_uri", "policy_uri", "tos_uri"]) {
    for (const value of ["javascript:alert(1)", "data:image/svg+xml,x", "no address"]) {
      const refused = await toldOf(await register({ [field]: value }));
      expect([field, ...refused]).toEqual([field, 400, "invalid_client_metadata"]);
    }
  }
  const [row] = await world.app.db.execute<{ many: number }>(
    "select count(*)::int as many from agents",
  );
  expect(row?.many).toBe(0);
  const filtered = await register({ redirect_uris: [agentRedirect, "unheard-of:callback"] });
  expect(await filtered.json()).toMatchObject({ redirect_uris: [agentRedirect] });
});

test("OA-3: a document that offers only such addresses is no client", async () => {
  await using world = await openDevelopmentWorld();
  let uris: readonly string[] = ["javascript:alert(1)", "unheard-of:x", "http://agent.example/"];
  await using served = serveDocuments((path, origin) =>
    Response.json(documentOf(`${origin}${path}`, { redirect_uris: uris })),
  );
  expect(await isAccepted(world.url, `${served.origin}/client.json`)).toBe(false);
  uris = [agentRedirect];
  expect(await isAccepted(world.url, `${served.origin}/client.json`)).toBe(true);
});

/** Requests that are wrong in ways that OAuth tells the client of. */
const faults: Readonly<Record<string, NonNullable<Asking["query"]>>> = {
  unsupported_response_type: { response_type: "token" },
  invalid_request: { code_challenge: undefined },
  invalid_target: { resource: "https://evil.example/mcp" },
  interaction_required: { prompt: "none" },
};

test("OA-4: no error is sent to an address that the client did not register", async () => {
  await using world = await openWorld();
  const visitor = await connectedVisitor(world.url);
  const { client_id: clientId } = await registerAgent(world.url);
  const asking = { url: world.url, clientId, pkce: newPkce() };
  const redirectUri = "https://evil.example/callback";
  for (const query of [...Object.values(faults), { scope: "nonsense" }]) {
    const refused = { status: 400, location: null };
    expect(await answered(visitor, { ...asking, redirectUri, query })).toEqual(refused);
    expect(await answered(visitor, { ...asking, clientId: "nobody", query })).toEqual(refused);
    const state = { ...query, state: "x".repeat(5000) };
    expect(await answered(visitor, { ...asking, query: state })).toEqual(refused);
  }
  const { location } = await answered(visitor, { ...asking, query: faults["invalid_target"]! });
  expect(location).toStartWith(`${agentRedirect}?error=invalid_target`);
});

test("OA-5: every answer to a client names the issuer, exactly as the metadata does", async () => {
  await using world = await openWorld();
  const { issuer } = (await (
    await fetch(`${world.url}/.well-known/oauth-authorization-server`)
  ).json()) as { issuer: string };
  const visitor = await connectedVisitor(world.url);
  const { client_id: clientId } = await registerAgent(world.url);
  const asking = { url: world.url, clientId, pkce: newPkce() };
  const issuersIn = (address: string) => new URL(address).searchParams.getAll("iss");
  for (const [error, query] of Object.entries(faults)) {
    const { location } = await answered(visitor, { ...asking, query });
    expect(new URL(location!).searchParams.get("error")).toBe(error);
    expect(new URL(location!).searchParams.get("state")).toBe("s1");
    expect(issuersIn(location!)).toEqual([issuer]);
  }
  const form = formIn(await (await visitor.get(authorizeUrl(asking))).text());
  const denied = await visitor.post(`${world.url}/authorize`, { ...form, decision: "deny" });
  expect(new URL(locationOf(denied)).searchParams.get("error")).toBe("access_denied");
  expect(issuersIn(locationOf(denied))).toEqual([issuer]);
  const allowed = await allow(visitor, { ...asking, query: { iss: "https://evil.example" } });
  expect(allowed.searchParams.get("code")).toStartWith("sd_cod_");
  expect(issuersIn(allowed.href)).toEqual([issuer]);
  const remembered = await answered(visitor, asking);
  expect(issuersIn(remembered.location!)).toEqual([issuer]);
});

test("OA-8: a token is always for one known resource, the default one when none is named", async () => {
  await using world = await openWorld();
  const { url } = world;
  const { visitor, tokens, clientId } = await authorizedAgent(url);
  expect(decodeJwt(tokens.access_token).aud).toBe(`${url}/mcp`);
  const named = { resource: `${url}/mcp/mercadolibre` };
  const other = await authorizedAgent(url, { visitor, clientId, query: named });
  expect(decodeJwt(other.tokens.access_token).aud).toBe(`${url}/mcp/mercadolibre`);
  const asking = { url, clientId, pkce: newPkce() };
  const elsewhere = [
    "https://evil.example/mcp",
    `${url}/`,
    `${url}/mcp/unheard-of`,
    `${url}/mcp?x=1`,
    `${url}/mcp#x`,
    `${url}@evil.example/mcp`,
    "mcp",
    "*",
  ];
  for (const resource of elsewhere) {
    const { location } = await answered(visitor, { ...asking, query: { resource } });
    expect([resource, new URL(location!).searchParams.get("error")]).toEqual([
      resource,
      "invalid_target",
    ]);
    const more = { resource };
    const refused = await refresh(url, { clientId, refreshToken: tokens.refresh_token, more });
    expect(await toldOf(refused)).toEqual([400, "invalid_target"]);
  }
  const both = `&resource=${encodeURIComponent(`${url}/mcp`)}&resource=${encodeURIComponent(`${url}/mcp/airtable`)}`;
  const twice = await visitor.get(`${authorizeUrl(asking)}${both}`);
  expect(new URL(locationOf(twice)).searchParams.get("error")).toBe("invalid_target");
});

test("OA-8: an agent that acts for itself gets no token for what it was not given", async () => {
  const more = (address: string) => ({
    open: { url: address, credential: "none" },
    other: { url: address, credential: "none" },
  });
  await using spied = await openSpied(undefined, { more });
  const { world, upstream } = spied;
  const { url } = world;
  const { clientId, secret } = await addRobot(world.app, { name: "Nightly", upstreams: ["open"] });
  const own = {
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: secret!.reveal(),
  };
  for (const path of ["/mcp/other", "/mcp", "/mcp/unheard-of"]) {
    const refused = await tokenRequest(url, { ...own, resource: `${url}${path}` });
    expect(await toldOf(refused)).toEqual([400, "invalid_target"]);
  }
  const twice = new URLSearchParams({ ...own, resource: `${url}/mcp/open` });
  twice.append("resource", `${url}/mcp/other`);
  const both = await fetch(`${url}/token`, { method: "POST", body: twice });
  expect(await toldOf(both)).toEqual([400, "invalid_target"]);
  const { access_token } = (await (await tokenRequest(url, own)).json()) as Tokens;
  expect(decodeJwt(access_token).aud).toBe(`${url}/mcp/open`);
  expect((await post(`${url}/mcp/other`, access_token, toolCall("echo"))).status).toBe(401);
  expect((await post(`${url}/mcp`, access_token, toolCall("echo"))).status).toBe(401);
  expect(upstream.seen).toHaveLength(0);
  expect((await post(`${url}/mcp/open`, access_token, toolCall("echo"))).status).toBe(200);
});

test("OA-9: registrations are counted by address, and what is registered or asked is bounded", async () => {
  await using world = await openWorld();
  const register = (metadata: Readonly<Record<string, unknown>>, headers = {}) =>
    fetch(`${world.url}/register`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ redirect_uris: [agentRedirect], ...metadata }),
    });
  expect((await register({ client_name: "x".repeat(17_000) })).status).toBe(413);
  const many = Array.from({ length: 21 }, (_, index) => `${agentRedirect}/${index}`);
  expect(await toldOf(await register({ redirect_uris: many }))).toEqual([
    400,
    "invalid_redirect_uri",
  ]);
  const long = await register({ redirect_uris: [`${agentRedirect}/${"x".repeat(2100)}`] });
  expect(await toldOf(long)).toEqual([400, "invalid_redirect_uri"]);
  const named = await register({ client_name: "n".repeat(5000) });
  expect(((await named.json()) as { client_name: string }).client_name).toBe("n".repeat(80));
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      register(
        {},
        { "x-forwarded-for": `203.0.113.${index}`, forwarded: `for=203.0.113.${index}` },
      ),
    ),
  );
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThanOrEqual(30);
  for (const { headers } of refused) expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  const [row] = await world.app.db.execute<{ many: number }>(
    "select count(*)::int as many from agents",
  );
  expect(row?.many).toBeLessThanOrEqual(31);
});

test("OA-9: a huge state or form is refused before anything is kept", async () => {
  await using world = await openWorld();
  const { client_id: clientId } = await registerAgent(world.url);
  const huge = await ask(world.url, clientId, { state: "x".repeat(10_000) });
  expect([huge.status, huge.headers.get("location")]).toEqual([400, null]);
  const visitor = await connectedVisitor(world.url);
  const form = await visitor.post(`${world.url}/authorize`, { query: "x".repeat(20_000) });
  expect(form.status).toBe(413);
  const token = await tokenRequest(world.url, { grant_type: "x".repeat(20_000) });
  expect(token.status).toBe(413);
  const attempt = await newVisitor().get(
    `${world.url}/auth/authorize?provider=mercadolibre&continue=${encodeURIComponent(`/authorize?${"x".repeat(7000)}`)}`,
  );
  expect(attempt.status).toBe(303);
  const [row] = await world.app.db.execute<{ kept: string | null }>(
    "select continue_to as kept from connect_attempts where continue_to is not null",
  );
  expect(row?.kept).toBeUndefined();
});

test("OA-10: an assertion of somebody else's identity provider brings no token", async () => {
  await using world = await openWorld();
  const { client_id: clientId } = await registerAgent(world.url);
  const grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer";
  const exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
  for (const grant_type of [grantType, exchange]) {
    const assertion = "eyJhbGciOiJub25lIiwidHlwIjoib2F1dGgtaWQtamFnK2p3dCJ9.e30.";
    const answer = await tokenRequest(world.url, { grant_type, assertion, client_id: clientId });
    expect(await toldOf(answer)).toEqual([400, "unsupported_grant_type"]);
  }
  const metadata = (await (
    await fetch(`${world.url}/.well-known/oauth-authorization-server`)
  ).json()) as Record<string, unknown>;
  expect(metadata["grant_types_supported"]).not.toContain(grantType);
  expect(metadata["authorization_grant_profiles_supported"]).toBeUndefined();
});
