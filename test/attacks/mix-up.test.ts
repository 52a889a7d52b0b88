import { expect, test } from "bun:test";
import type { Environment } from "#src/config/read.ts";
import { catalogOf } from "#test/data/catalog-of.ts";
import { locationOf, newVisitor, walkToCallback } from "#test/support/browser-like.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { startBeside } from "./setup.ts";

/** The world's provider with an issuer, as a provider that sends `iss` has one. */
function withIssuer(world: World, issuer: string): Environment {
  const providers = JSON.parse(world.environment["SMARTDASH_PROVIDERS"]!) as Record<string, object>;
  const mercadolibre = { ...providers["mercadolibre"], issuer };
  return { SMARTDASH_PROVIDERS: JSON.stringify({ ...providers, mercadolibre }) };
}

const accountsIn = async (world: World) =>
  (await world.app.db.execute("select id from accounts")).length;

test("OA-6: an answer that names another issuer ends before the code is sent anywhere", async () => {
  await using world = await openWorld();
  const issuer = world.sandbox.origin;
  await using gateway = await startBeside(world, withIssuer(world, issuer));
  const provider = world.sandbox.providers.get("mercadolibre")!;
  const other = [
    "https://evil.example",
    `${issuer}/`,
    issuer.toUpperCase(),
    issuer.replace("127.0.0.1", "localhost"),
    ` ${issuer}`,
  ];
  for (const iss of other) {
    const visitor = newVisitor();
    const callback = await walkToCallback(visitor, { url: gateway.url });
    const refused = await visitor.get(`${callback}&${new URLSearchParams({ iss }).toString()}`);
    expect([iss, refused.status]).toEqual([iss, 502]);
  }
  const visitor = newVisitor();
  const twice = await walkToCallback(visitor, { url: gateway.url });
  const both = new URLSearchParams([
    ["iss", issuer],
    ["iss", "https://evil.example"],
  ]);
  expect((await visitor.get(`${twice}&${both.toString()}`)).status).toBe(502);
  expect(provider.asked.authorization_code).toBe(0);
  expect(await accountsIn(world)).toBe(0);
  const callback = await walkToCallback(visitor, { url: gateway.url });
  const query = new URLSearchParams({ iss: issuer });
  expect((await visitor.get(`${callback}&${query.toString()}`)).status).toBe(303);
});

test("OA-6: of an answer that names another issuer, not even its error is believed", async () => {
  await using world = await openWorld();
  await using gateway = await startBeside(world, withIssuer(world, world.sandbox.origin));
  const visitor = newVisitor();
  const callback = new URL(await walkToCallback(visitor, { url: gateway.url }));
  callback.searchParams.delete("code");
  callback.searchParams.set("error", "access_denied");
  callback.searchParams.set("iss", "https://evil.example");
  const page = await (await visitor.get(callback.href)).text();
  expect(/consent_denied|access_denied/.exec(page)?.[0]).toBeUndefined();
});

test("OA-6: a code of one provider is worth nothing in an attempt at another", async () => {
  await using world = await openWorld();
  const airtable = world.sandbox.providers.get("airtable")!;
  const visitor = newVisitor();
  const mine = new URL(await walkToCallback(visitor, { url: world.url }));
  const theirs = new URL(await walkToCallback(visitor, { url: world.url, provider: "airtable" }));
  mine.searchParams.set("code", theirs.searchParams.get("code")!);
  expect((await visitor.get(mine.href)).status).toBe(502);
  expect(airtable.asked.authorization_code).toBe(0);
  expect(await accountsIn(world)).toBe(0);
});

/** An issuer on loopback whose metadata says more or something else. */
function serveIssuer(more: (origin: string) => Readonly<Record<string, unknown>>) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ url }) {
      const { origin, pathname } = new URL(url);
      if (pathname !== "/.well-known/oauth-authorization-server")
        return new Response(null, { status: 404 });
      return Response.json({
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        userinfo_endpoint: `${origin}/userinfo`,
        ...more(origin),
      });
    },
  });
  return { origin: server.url.origin, [Symbol.asyncDispose]: () => server.stop(true) };
}

test("OA-6: metadata that stands at one issuer and names another is not used", async () => {
  for (const issuer of ["https://evil.example", "", undefined]) {
    await using served = serveIssuer(() => ({ issuer }));
    const { catalog, problems } = await catalogOf({ own: { issuer: served.origin } }, {});
    expect(problems.map(({ setting }) => setting)).toContain("SMARTDASH_PROVIDERS");
    expect(catalog.providers.has("own")).toBe(false);
  }
  await using slash = serveIssuer((origin) => ({ issuer: `${origin}/` }));
  expect((await catalogOf({ own: { issuer: slash.origin } }, {})).problems).not.toEqual([]);
  await using right = serveIssuer(() => ({}));
  expect((await catalogOf({ own: { issuer: right.origin } }, {})).problems).toEqual([]);
});

test("OA-6: an answer without iss is refused where the metadata promises one", async () => {
  await using world = await openWorld();
  const at = world.sandbox.origin;
  await using served = serveIssuer(() => ({
    authorization_endpoint: `${at}/mercadolibre/authorize`,
    token_endpoint: `${at}/mercadolibre/token`,
    userinfo_endpoint: `${at}/mercadolibre/identity`,
    authorization_response_iss_parameter_supported: true,
  }));
  const own = {
    issuer: served.origin,
    client_id: world.environment["MELI_CLIENT_ID"],
    client_secret: world.environment["MELI_CLIENT_SECRET"],
    identity_id: "id",
  };
  const providers = JSON.parse(world.environment["SMARTDASH_PROVIDERS"]!) as object;
  const environment = { SMARTDASH_PROVIDERS: JSON.stringify({ ...providers, own }) };
  await using gateway = await startBeside(world, environment);
  const asked = () => world.sandbox.providers.get("mercadolibre")!.asked.authorization_code;
  const visitor = newVisitor();
  const callback = await walkToCallback(visitor, { url: gateway.url, provider: "own" });
  const refused = await visitor.get(callback);
  expect([refused.status, asked()]).toEqual([502, 0]);
  const again = await walkToCallback(visitor, { url: gateway.url, provider: "own" });
  await visitor.get(`${again}&${new URLSearchParams({ iss: served.origin }).toString()}`);
  expect(asked()).toBe(1);
});

test("OA-7: metadata that leads to http, to scripts or to nothing is refused at the start", async () => {
  const wrong: readonly Readonly<Record<string, unknown>>[] = [
    { token_endpoint: "http://id.example/token" },
    { token_endpoint: "http://169.254.169.254/token" },
    { token_endpoint: "ftp://id.example/token" },
    { token_endpoint: "/token" },
    { token_endpoint: "" },
    { token_endpoint: undefined },
    { token_endpoint: 7 },
    { authorization_endpoint: "javascript:alert(1)" },
    { authorization_endpoint: "data:text/html,x" },
    { authorization_endpoint: "http://id.example/authorize" },
    { authorization_endpoint: undefined },
    { userinfo_endpoint: "http://id.example/me" },
    { userinfo_endpoint: "file:///etc/passwd" },
    { revocation_endpoint: "http://id.example/revoke" },
  ];
  for (const each of wrong) {
    await using served = serveIssuer(() => each);
    const { problems } = await catalogOf({ own: { issuer: served.origin } }, {});
    expect([each, problems.length > 0]).toEqual([each, true]);
  }
});

test("OA-7: metadata of an issuer elsewhere that leads inside is refused", async () => {
  const inside = [
    "https://169.254.169.254/token",
    "https://10.0.0.1/token",
    "https://[fd00::1]/token",
  ];
  for (const token_endpoint of inside) {
    await using served = serveIssuer(() => ({ token_endpoint }));
    const { problems } = await catalogOf({ own: { issuer: served.origin } }, {});
    expect([token_endpoint, problems.length > 0]).toEqual([token_endpoint, true]);
  }
});

test("OA-7: nobody is sent to an authorization endpoint that is not http(s)", async () => {
  await using world = await openWorld();
  const begun = await newVisitor().get(`${world.url}/auth/authorize?provider=mercadolibre`);
  expect(new URL(locationOf(begun)).protocol).toMatch(/^https?:$/);
  const own = { authorize: "javascript:alert(1)", token: "https://id.example/token" };
  expect((await catalogOf({ own }, {})).problems).toHaveLength(1);
});
