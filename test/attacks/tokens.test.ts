import { expect, test } from "bun:test";
import { type KeyObject, createPublicKey } from "node:crypto";
import {
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
  decodeJwt,
  exportJWK,
  generateKeyPair,
} from "jose";
import { createSigningKeys } from "#src/oauth-server/tokens/signing-keys.ts";
import {
  type Tokens,
  authorizedAgent,
  refresh,
  registerAgent,
  tokenRequest,
} from "#test/support/agent-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { openWorld } from "#test/support/world.ts";
import { connectedVisitor, emptyResult, openSpied, startBeside, textsOf } from "./setup.ts";

test("TP-1: a token for one upstream is worth nothing at another one's address", async () => {
  const more = (url: string) => ({ open: { url, credential: "none" } });
  await using spied = await openSpied(emptyResult, { more });
  const { world, upstream } = spied;
  const { tokens, visitor, clientId } = await authorizedAgent(world.url);
  for (const path of ["/mcp/open", "/api/mcp/open", "/mcp/airtable"]) {
    const refused = await post(`${world.url}${path}`, tokens.access_token, toolCall("echo"));
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain('error="invalid_token"');
  }
  expect(upstream.seen).toHaveLength(0);
  const query = { resource: `${world.url}/mcp/open` };
  const other = await authorizedAgent(world.url, { visitor, clientId, query });
  const call = (path: string) =>
    post(`${world.url}${path}`, other.tokens.access_token, toolCall("echo"));
  expect((await call("/mcp")).status).toBe(401);
  expect(upstream.seen).toHaveLength(0);
  expect((await call("/mcp/open")).status).toBe(200);
});

test("TP-2: the upstream's own token is no bearer here", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { tokens } = await authorizedAgent(world.url);
  await post(`${world.url}/mcp`, tokens.access_token, toolCall("echo"));
  const theirs = upstream.seen[0]!.headers.get("authorization")!.slice("Bearer ".length);
  expect(theirs).toStartWith("APP_USR-");
  for (const bearer of [theirs, tokens.refresh_token, `sd_ses_${"A".repeat(43)}`]) {
    expect((await post(`${world.url}/mcp`, bearer, toolCall("echo"))).status).toBe(401);
  }
  expect(upstream.seen).toHaveLength(1);
});

test("TP-3: of what a client proves itself with, nothing reaches the upstream or the log", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  await using gateway = await startBeside(world);
  const { tokens } = await authorizedAgent(gateway.url);
  const secrets = {
    cookie: "session=cookie-canary-1",
    dpop: "dpop-canary-2",
    "x-api-key": "key-canary-3",
    "proxy-authorization": "Basic proxy-canary-4",
    "x-forwarded-authorization": "Bearer forwarded-canary-5",
  };
  const url = `${gateway.url}/mcp?access_token=${tokens.access_token}&api_key=query-canary-6`;
  const answer = await post(url, tokens.access_token, toolCall("echo"), secrets);
  expect(answer.status).toBe(200);
  const [sent] = upstream.seen;
  expect(sent?.headers.get("authorization")).toStartWith("Bearer APP_USR-");
  expect(sent?.path).toBe("/mcp");
  const heard = JSON.stringify([...sent!.headers]) + sent!.path + sent!.body + gateway.logs();
  expect(gateway.logs()).toContain("token_issued");
  const signature = tokens.access_token.split(".")[2]!;
  for (const secret of [signature, "canary", "dpop", "proxy-authorization"]) {
    expect(heard).not.toContain(secret);
  }
});

test("TP-4: a token in the query or the body counts for nothing", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const json = { "content-type": "application/json" };
  const body = JSON.stringify(toolCall("echo"));
  const form = new URLSearchParams({ access_token });
  const asked = [
    fetch(`${world.url}/mcp?access_token=${access_token}`, { method: "POST", body, headers: json }),
    fetch(`${world.url}/mcp?access_token=${access_token}`),
    fetch(`${world.url}/mcp?bearer=${access_token}`, { method: "DELETE" }),
    fetch(`${world.url}/mcp`, { method: "POST", body: form }),
    fetch(`${world.url}/mcp`, {
      method: "POST",
      body,
      headers: { ...json, cookie: `token=${access_token}` },
    }),
    fetch(`${world.url}/mcp`, {
      method: "POST",
      body,
      headers: { ...json, authorization: `Basic ${access_token}` },
    }),
  ];
  for (const answer of await Promise.all(asked)) expect(answer.status).toBe(401);
  expect(upstream.seen).toHaveLength(0);
  expect((await post(`${world.url}/mcp`, access_token, toolCall("echo"))).status).toBe(200);
});

test("TP-5: no forged, foreign, altered or outlived token is accepted", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const good = decodeJwt(access_token);
  const { signer, published } = await createSigningKeys(world.app).ring();
  const sign = signer();
  const header = JSON.parse(Buffer.from(sign.header, "base64url").toString()) as {
    alg: string;
    typ: string;
    kid: string;
  };
  const signed = (payload: JWTPayload, head: object = {}) =>
    new SignJWT(payload).setProtectedHeader({ ...header, ...head }).sign(sign.key);
  const now = Math.floor(Date.now() / 1000);
  const without = (name: string) =>
    Object.fromEntries(Object.entries(good).filter(([each]) => each !== name));
  const foreign = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const foreignly = (head: object) =>
    new SignJWT(good).setProtectedHeader({ ...header, ...head }).sign(foreign.privateKey);
  const publicJwk = published.find(({ kid }) => kid === header.kid)!;
  const publicKey: KeyObject = createPublicKey({ key: { ...publicJwk }, format: "jwk" });
  const hmac = (key: Uint8Array) =>
    new SignJWT(good).setProtectedHeader({ ...header, alg: "HS256" }).sign(key);
  const [head, payload, signature] = access_token.split(".") as [string, string, string];
  const json = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const otherBasis = { ...good, basis: `agent:${String(good["basis"]).split(":")[1]}` };
  const bearers: Record<string, string> = {
    unsecured: new UnsecuredJWT(good).encode(),
    "alg none, our kid": `${json({ ...header, alg: "none" })}.${payload}.`,
    "alg none, our signature": `${json({ ...header, alg: "none" })}.${payload}.${signature}`,
    unsigned: `${head}.${payload}.`,
    "no third part": `${head}.${payload}`,
    "HS256 with our public key as PEM": await hmac(
      Buffer.from(publicKey.export({ type: "spki", format: "pem" })),
    ),
    "HS256 with our public key's bytes": await hmac(Buffer.from(publicJwk.x!, "base64url")),
    "foreign key, our kid": await foreignly({}),
    "foreign key in the header": await foreignly({ jwk: await exportJWK(foreign.publicKey) }),
    "foreign kid": await foreignly({ kid: "nobody" }),
    "other payload, our signature": `${head}.${json({ ...good, scope: "mcp:call" })}.${signature}`,
    "wrong iss": await signed({ ...good, iss: "https://elsewhere.example" }),
    "iss with a slash": await signed({ ...good, iss: `${good.iss}/` }),
    "no iss": await signed(without("iss")),
    expired: await signed({ ...good, iat: now - 3700, exp: now - 1 }),
    "no exp": await signed(without("exp")),
    "nbf in the future": await signed({ ...good, nbf: now + 600 }),
    "no aud": await signed(without("aud")),
    "aud elsewhere": await signed({ ...good, aud: "https://elsewhere.example/mcp" }),
    "aud of the issuer alone": await signed({ ...good, aud: world.url }),
    "two auds": await signed({ ...good, aud: [`${world.url}/mcp`, "https://elsewhere.example"] }),
    "no basis": await signed(without("basis")),
    "another basis": await signed(otherBasis),
    "not an access token": await signed(good, { typ: "JWT" }),
    "no typ": await signed(good, { typ: undefined }),
    "an unknown critical header": await signed(good).then(
      () => `${json({ ...header, crit: ["b64"], b64: false })}.${payload}.${signature}`,
    ),
    "not JSON": `eyJub3RoaW5n.${payload}.${signature}`,
    "four parts": `${access_token}.x`,
    "very long": `eyJ${"A".repeat(9000)}`,
  };
  for (const [name, bearer] of Object.entries(bearers)) {
    const refused = await post(`${world.url}/mcp`, bearer, toolCall("echo"));
    expect([name, refused.status]).toEqual([name, 401]);
  }
  for (const value of [
    "Bearer",
    "Bearer ",
    `bearer${access_token}`,
    access_token,
    `Token ${access_token}`,
  ]) {
    const headers = { authorization: value, "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(toolCall("echo")) };
    expect((await fetch(`${world.url}/mcp`, init)).status).toBe(401);
  }
  expect(upstream.seen).toHaveLength(0);
  expect((await post(`${world.url}/mcp`, await signed(good), toolCall("echo"))).status).toBe(200);
});

/** An upstream whose answer to a call is a stream that stays open until we leave. */
function openEnded(closed: () => void) {
  return (request: Request): Response => {
    request.signal.addEventListener("abort", closed);
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('data: {"first":1}\n\n')),
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
}

/** Resolves when the stream has ended, after its first event has been seen. */
async function opened(url: string, bearer: string): Promise<{ readonly ended: Promise<number> }> {
  const answer = await post(`${url}/mcp`, bearer, toolCall("watch"));
  expect(answer.status).toBe(200);
  const first = Promise.withResolvers<void>();
  const drain = async () => {
    for await (const text of textsOf(answer)) if (text.includes("first")) first.resolve();
    return performance.now();
  };
  const ended = drain();
  await first.promise;
  return { ended };
}

const waysToEnd = ["/revoke by the client", "the person's page", "another replica"] as const;

for (const way of waysToEnd) {
  test(`TP-6: open streams of a grant end within two seconds on every replica: ${way}`, async () => {
    let closed = 0;
    await using spied = await openSpied(openEnded(() => (closed += 1)));
    const { world, upstream } = spied;
    await using second = await startBeside(world, { PUBLIC_URL: world.url });
    const { tokens, clientId, visitor } = await authorizedAgent(world.url);
    const bystander = await authorizedAgent(world.url, { seller: "100200301" });
    const there = `http://localhost:${second.port}`;
    const streams = [
      await opened(world.url, tokens.access_token),
      await opened(there, tokens.access_token),
    ];
    const other = await opened(world.url, bystander.tokens.access_token);
    const begun = performance.now();
    if (way === "the person's page") {
      const home = await (await visitor.get(`${world.url}/`)).text();
      const action = /action="(\/grants\/[^"]+\/end)"/.exec(home)![1]!;
      const form_token = /name="form_token" value="([^"]+)"/.exec(home)![1]!;
      expect((await visitor.post(`${world.url}${action}`, { form_token })).status).toBe(303);
    } else {
      const at = way === "another replica" ? there : world.url;
      const body = new URLSearchParams({ client_id: clientId, token: tokens.refresh_token });
      expect((await fetch(`${at}/revoke`, { method: "POST", body })).status).toBe(200);
    }
    for (const { ended } of streams) expect((await ended) - begun).toBeLessThan(2000);
    const before = upstream.seen.length;
    for (const url of [world.url, there]) {
      expect((await post(`${url}/mcp`, tokens.access_token, toolCall("echo"))).status).toBe(401);
    }
    expect(upstream.seen).toHaveLength(before);
    expect(closed).toBe(2);
    const isOpen = await Promise.race([
      other.ended.then(() => false),
      Bun.sleep(50).then(() => true),
    ]);
    expect(isOpen).toBe(true);
  });
}

test("TP-6: when the provider has ended the account's grant, the next call says how to connect again", async () => {
  await using world = await openWorld();
  const { tokens } = await authorizedAgent(world.url);
  world.sandbox.providers.get("mercadolibre")!.grants.revoke("100200300");
  const answer = await post(`${world.url}/mcp`, tokens.access_token, toolCall("whoami"));
  const text = await answer.text();
  expect(text).toContain("reconnect_needed");
  expect(text).not.toContain("TIENDA_DEMO");
});

test("TP-7: the challenge of an upstream stays here; one refresh, one retry", async () => {
  const hostile = {
    "www-authenticate": 'Bearer resource_metadata="https://evil.example", error="invalid_token"',
    "set-cookie": "evil=1",
    location: "https://evil.example",
  };
  await using spied = await openSpied(
    () => new Response("evil words", { status: 401, headers: hostile }),
  );
  const { world, upstream } = spied;
  const { tokens } = await authorizedAgent(world.url);
  const answer = await post(`${world.url}/mcp`, tokens.access_token, toolCall("whoami"));
  const heard = JSON.stringify([...answer.headers]) + (await answer.text());
  expect(answer.status).not.toBe(401);
  expect(heard).not.toContain("evil");
  expect(upstream.seen).toHaveLength(2);
  const provider = world.sandbox.providers.get("mercadolibre")!;
  expect(provider.asked.refresh_token).toBe(1);
  const [first, second] = upstream.seen.map(({ headers }) => headers.get("authorization"));
  expect(first).not.toBe(second!);
});

test("TP-8: a refresh token that comes again after its successor was used ends everything of its grant", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  await using gateway = await startBeside(world);
  const { url } = gateway;
  const { tokens, clientId } = await authorizedAgent(url);
  const redeemed = async (refreshToken: string) => {
    const answer = await refresh(url, { clientId, refreshToken });
    return { status: answer.status, body: (await answer.json()) as Tokens & { error?: string } };
  };
  const [one, two] = await Promise.all([
    redeemed(tokens.refresh_token),
    redeemed(tokens.refresh_token),
  ]);
  expect(one.body.refresh_token).toBe(two.body.refresh_token);
  expect(one.body.refresh_token).not.toBe(tokens.refresh_token);
  gateway.advance(31_000);
  expect((await redeemed(tokens.refresh_token)).body.refresh_token).toBe(one.body.refresh_token);
  const last = await redeemed(one.body.refresh_token);
  expect(last.status).toBe(200);
  expect((await post(`${url}/mcp`, last.body.access_token, toolCall("echo"))).status).toBe(200);
  const replayed = await redeemed(tokens.refresh_token);
  expect([replayed.status, replayed.body.error]).toEqual([400, "invalid_grant"]);
  const calls = upstream.seen.length;
  for (const { access_token } of [tokens, one.body, last.body]) {
    expect((await post(`${url}/mcp`, access_token, toolCall("echo"))).status).toBe(401);
  }
  expect(upstream.seen).toHaveLength(calls);
  for (const token of [one.body.refresh_token, last.body.refresh_token]) {
    expect((await redeemed(token)).body.error).toBe("invalid_grant");
  }
});

test("TP-8: a refresh token is of no use to another client", async () => {
  await using world = await openWorld();
  const { tokens, clientId } = await authorizedAgent(world.url);
  const stranger = await registerAgent(world.url);
  const refreshToken = tokens.refresh_token;
  const refused = await refresh(world.url, { clientId: stranger.client_id, refreshToken });
  expect(await refused.json()).toMatchObject({ error: "invalid_grant" });
  expect((await refresh(world.url, { clientId, refreshToken })).status).toBe(200);
});

test("TP-9: many calls that meet a dead credential lead to one refresh, on two replicas too", async () => {
  await using world = await openWorld();
  await using second = await startBeside(world, { PUBLIC_URL: world.url });
  const { tokens } = await authorizedAgent(world.url);
  const provider = world.sandbox.providers.get("mercadolibre")!;
  for (const round of [1, 2]) {
    provider.grants.expireAccess();
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, id) => {
        const url = id % 2 === 0 ? world.url : `http://localhost:${second.port}`;
        return (await post(`${url}/mcp`, tokens.access_token, toolCall("whoami", {}, id))).text();
      }),
    );
    expect(answers.filter((text) => text.includes("TIENDA_DEMO"))).toHaveLength(40);
    expect(provider.asked.refresh_token).toBe(round);
  }
});

test("TP-10: no secret of an agent's journey stands in the log, an error or the database", async () => {
  await using spied = await openSpied();
  const { world } = spied;
  await using gateway = await startBeside(world);
  const { url } = gateway;
  const visitor = await connectedVisitor(url);
  const { tokens, code, pkce, clientId } = await authorizedAgent(url, { visitor });
  const registered = await registerAgent(url, { token_endpoint_auth_method: "client_secret_post" });
  const secret = registered.client_secret!;
  const rotated = (await (
    await refresh(url, { clientId, refreshToken: tokens.refresh_token })
  ).json()) as Tokens;
  await post(`${url}/mcp`, tokens.access_token, toolCall("echo"));
  const errors = await Promise.all([
    refresh(url, { clientId: registered.client_id, refreshToken: rotated.refresh_token }),
    tokenRequest(url, {
      grant_type: "authorization_code",
      client_id: clientId,
      code,
      code_verifier: pkce.verifier,
    }),
    tokenRequest(url, {
      grant_type: "refresh_token",
      client_id: registered.client_id,
      client_secret: `${secret}x`,
    }),
    tokenRequest(url, {
      grant_type: "refresh_token",
      client_id: registered.client_id,
      client_secret: secret,
      refresh_token: "sd_ref_x",
    }),
    tokenRequest(url, { grant_type: rotated.refresh_token, client_id: tokens.access_token }),
    post(`${url}/mcp`, `${tokens.access_token}x`, toolCall("echo")),
    fetch(`${url}/metrics`),
    fetch(`${url}/authorize?client_id=${secret}&code=${code}`),
  ]);
  for (const answer of errors) expect(answer.status).toBeGreaterThanOrEqual(400);
  const answers = await Promise.all(
    errors.map(async (each) => (await each.text()) + JSON.stringify([...each.headers])),
  );
  const tables = await world.app.db.execute<{ name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'public'",
  );
  const rows = await Promise.all(
    tables.map(({ name }) => world.app.db.execute(`select t::text as row from "${name}" t`)),
  );
  const sinks = {
    logs: gateway.logs(),
    answers: answers.join("\n"),
    database: JSON.stringify(rows),
  };
  expect(sinks.logs).toContain("token_issued");
  expect(sinks.database).toContain(clientId);
  const secrets = {
    code,
    secret,
    verifier: pkce.verifier,
    cookie: visitor.cookies.get("__Host-smartdash-person")!,
    refresh: tokens.refresh_token,
    nextRefresh: rotated.refresh_token,
    access: tokens.access_token.split(".")[2]!,
    nextAccess: rotated.access_token.split(".")[2]!,
  };
  const leaks = Object.entries(secrets).flatMap(([name, value]) =>
    Object.entries(sinks).flatMap(([sink, text]) =>
      formsOf(value).some((form) => text.includes(form)) ? [`${name} in ${sink}`] : [],
    ),
  );
  expect(leaks).toEqual([]);
});

function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const encoded = (["base64", "base64url", "hex"] as const).map((form) => bytes.toString(form));
  return [secret, secret.slice(0, 24), ...encoded].filter((form) => form.length >= 16);
}
