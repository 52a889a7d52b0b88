import { createClientDocuments } from "#src/oauth-server/clients/client-document.ts";
import { createLog } from "#src/telemetry/log.ts";
import { expect, setDefaultTimeout, test } from "bun:test";
import { SignJWT, generateKeyPair } from "jose";
import {
  agentRedirect,
  registerAgent,
  tokenRequest,
  authorizedAgent,
} from "#test/support/agent-like.ts";
import { post } from "#test/support/mcp.ts";
import { ask, documentOf, isAccepted, openDevelopmentWorld, serveDocuments } from "./documents.ts";
import { countConnections, openSpied, startBeside } from "./setup.ts";
import { roomFor } from "#test/support/room.ts";
import { openWorld } from "#test/support/world.ts";

/** Time in line counts too. */
setDefaultTimeout(120_000);

const room = roomFor(3);

const json = { "content-type": "application/json" };
const megabyte = 1024 * 1024;

/** A document with so many bytes in all. */
function sized(clientId: string, bytes: number): string {
  const start = JSON.stringify({ ...documentOf(clientId), note: "" }).slice(0, -2);
  return `${start}${"x".repeat(bytes - start.length - 2)}"}`;
}

/** Everything that a document may not be. The good one of the same address is given to each. */
const bad: Readonly<Record<string, (clientId: string, good: object) => Response>> = {
  "404": (_, good) => Response.json(good, { status: 404 }),
  "204": () => new Response(null, { status: 204 }),
  "201": (_, good) => Response.json(good, { status: 201 }),
  "206": (_, good) => Response.json(good, { status: 206 }),
  "500": (_, good) => Response.json(good, { status: 500 }),
  "no type": (_, good) => new Response(new Blob([JSON.stringify(good)])),
  "an HTML page": () => new Response("<html></html>", { headers: { "content-type": "text/html" } }),
  "JSON as text": (_, good) =>
    new Response(JSON.stringify(good), { headers: { "content-type": "text/plain" } }),
  "JSON-like type": (_, good) =>
    new Response(JSON.stringify(good), { headers: { "content-type": "application/jsonx" } }),
  "not JSON": () => new Response("{", { headers: json }),
  "a list": (_, good) => Response.json([good]),
  "one byte too much": (id) => new Response(sized(id, 5 * 1024 + 1), { headers: json }),
  "ten megabytes": (id) => new Response(sized(id, 10 * megabyte), { headers: json }),
  "ten megabytes of unknown size": () =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(megabyte).fill(0x20)),
      }),
      { headers: json },
    ),
  compressed: (_, good) =>
    new Response(Bun.gzipSync(Buffer.from(JSON.stringify(good))), {
      headers: { ...json, "content-encoding": "gzip" },
    }),
  "a bomb": (id) =>
    new Response(Bun.gzipSync(Buffer.from(sized(id, 2 * megabyte))), {
      headers: { ...json, "content-encoding": "gzip" },
    }),
  "another client's": (_, good) => Response.json({ ...good, client_id: "https://evil.example/x" }),
  "its own address, but for a slash": (id, good) => Response.json({ ...good, client_id: `${id}/` }),
  "no client id": (_, good) => Response.json({ ...good, client_id: undefined }),
  "a client with a secret": (_, good) => Response.json({ ...good, client_secret: "x" }),
  "a client that proves itself with a shared secret": (_, good) =>
    Response.json({ ...good, token_endpoint_auth_method: "client_secret_post" }),
  "no redirect URIs": (_, good) => Response.json({ ...good, redirect_uris: [] }),
  "no name": (_, good) => Response.json({ ...good, client_name: undefined }),
};

test.concurrent("SS-5: a document that is not what it should be is a failure, and failures are not kept", async () => {
  await using world = await room.hold(openDevelopmentWorld);
  let make: (typeof bad)[string] | undefined;
  await using served = serveDocuments((path, origin) => {
    const clientId = `${origin}${path}`;
    const good = documentOf(clientId);
    return make === undefined ? Response.json(good) : make(clientId, good);
  });
  for (const [index, [name, bring]] of Object.entries(bad).entries()) {
    const clientId = `${served.origin}/${index}.json`;
    make = bring;
    expect([name, await isAccepted(world.url, clientId)]).toEqual([name, false]);
    make = undefined;
    expect([name, await isAccepted(world.url, clientId)]).toEqual([name, true]);
  }
  expect(served.asked).toHaveLength(2 * Object.keys(bad).length);
  make = (clientId) => new Response(sized(clientId, 5 * 1024), { headers: json });
  expect(await isAccepted(world.url, `${served.origin}/exact.json`)).toBe(true);
});

/** Says a little every now and then, and never comes to an end. */
function drip(): Response {
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await Bun.sleep(100);
      controller.enqueue(new TextEncoder().encode(" "));
    },
  });
  return new Response(body, { headers: json });
}

test.concurrent("SS-5: a document that drips or never begins is given up after seconds, and a good one works at once", async () => {
  await using world = await room.hold(openDevelopmentWorld);
  let isSlow = true;
  const held = Promise.withResolvers<Response>();
  await using served = serveDocuments((path, origin) => {
    if (!isSlow) return Response.json(documentOf(`${origin}${path}`));
    return path === "/hang.json" ? held.promise : drip();
  });
  const ids = ["/drip.json", "/hang.json"].map((path) => `${served.origin}${path}`);
  const begun = performance.now();
  const answers = await Promise.all(ids.map((id) => isAccepted(world.url, id)));
  expect(answers).toEqual([false, false]);
  expect(performance.now() - begun).toBeLessThan(7000);
  isSlow = false;
  for (const id of ids) expect(await isAccepted(world.url, id)).toBe(true);
  held.resolve(new Response());
});

test.concurrent("SS-6: why a document cannot be used is told to nobody outside", async () => {
  await using world = await room.hold(openDevelopmentWorld);
  const closed = countConnections();
  const gone = closed.port;
  closed[Symbol.dispose]();
  using silent = countConnections();
  await using served = serveDocuments((path) => {
    if (path === "/drip.json") return drip();
    if (path === "/missing.json") return new Response(null, { status: 404 });
    if (path === "/moved.json") return Response.redirect("http://127.0.0.1:1/", 302);
    if (path === "/large.json") return new Response("x".repeat(10_000), { headers: json });
    if (path === "/other.json") return Response.json(documentOf("https://evil.example/"));
    return new Response("<html></html>", { headers: { "content-type": "text/html" } });
  });
  const paths = ["drip", "missing", "moved", "large", "other", "page"];
  const ids = [
    ...paths.map((name) => `${served.origin}/${name}.json`),
    `http://127.0.0.1:${gone}/client.json`,
    `http://127.0.0.1:${silent.port}/client.json`,
    `https://127.0.0.1:${silent.port}/client.json`,
    // Leads here too, but is no loopback address.
    `http://0.0.0.0:${silent.port}/client.json`,
    `https://0.0.0.0:${silent.port}/client.json`,
    `${served.origin}/a/../b`,
    "nobody",
  ];
  const outward = async (answer: Response) => {
    const text = (await answer.text()).replaceAll(answer.headers.get("x-request-id") ?? "-", "ID");
    return `${answer.status} ${answer.headers.get("content-type")} ${text}`;
  };
  const pages = await Promise.all(ids.map(async (id) => outward(await ask(world.url, id))));
  expect([...new Set(pages)]).toHaveLength(1);
  expect(pages[0]).toContain("client_unknown");
  const fields = { grant_type: "authorization_code", code: "x", code_verifier: "x" };
  const tokens = await Promise.all(
    ids
      .slice(0, -1)
      .map(async (id) => outward(await tokenRequest(world.url, { ...fields, client_id: id }))),
  );
  expect([...new Set(tokens)]).toHaveLength(1);
  // An established client must not take an outage of its own host for the end of its registration.
  expect(tokens[0]).toContain("temporarily_unavailable");
});

test.concurrent("SS-8: what a document points to is not fetched for showing or accepting it", async () => {
  await using world = await room.hold(openDevelopmentWorld);
  using inside = countConnections();
  const target = `http://127.0.0.1:${inside.port}/inside`;
  await using served = serveDocuments((path, origin) =>
    Response.json(
      documentOf(`${origin}${path}`, {
        logo_uri: target,
        client_uri: target,
        policy_uri: target,
        tos_uri: target,
        jwks_uri: target,
        sector_identifier_uri: target,
        software_statement: target,
        token_endpoint_auth_method: "private_key_jwt",
      }),
    ),
  );
  const clientId = `${served.origin}/client.json`;
  const answer = await ask(world.url, clientId);
  expect(answer.status).toBe(200);
  const page = await answer.text();
  expect(page).toContain("Document agent");
  expect(page).not.toContain(target);
  expect(page).not.toContain("<img");
  expect(inside.connections()).toBe(0);
});

test.concurrent("SS-8: a key set at an address inside is not fetched when a client proves itself", async () => {
  await using world = await room.hold(openWorld);
  using inside = countConnections();
  using other = countConnections("::1");
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
  const addresses = [
    `https://127.0.0.1:${inside.port}/jwks`,
    `https://2130706433:${inside.port}/jwks`,
    `https://localhost:${inside.port}/jwks`,
    `https://[::1]:${other.port}/jwks`,
    `https://[::ffff:127.0.0.1]:${inside.port}/jwks`,
  ];
  const told = new Set<string>();
  for (const jwks_uri of addresses) {
    const { client_id } = await registerAgent(world.url, {
      token_endpoint_auth_method: "private_key_jwt",
      redirect_uris: [agentRedirect],
      jwks_uri,
    });
    const assertion = await new SignJWT({ jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: "EdDSA", kid: "one" })
      .setIssuer(client_id)
      .setSubject(client_id)
      .setAudience(world.url)
      .setExpirationTime("1 minute")
      .sign(privateKey);
    const answer = await tokenRequest(world.url, {
      grant_type: "refresh_token",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: assertion,
    });
    expect(answer.status).toBe(401);
    told.add(await answer.text());
  }
  expect([inside.connections(), other.connections()]).toEqual([0, 0]);
  expect([...told]).toHaveLength(1);
  expect([...told][0]).toContain("invalid_client");
});

test.concurrent("SS-9: what a tool's schema refers to is passed on as it is and never fetched", async () => {
  using inside = countConnections();
  const reference = `http://127.0.0.1:${inside.port}/schema.json`;
  const tools = [
    {
      name: "trap",
      inputSchema: { $ref: reference, $schema: reference, properties: { a: { $ref: reference } } },
      outputSchema: { $dynamicRef: reference },
      icons: [{ src: reference }],
    },
  ];
  const result = { jsonrpc: "2.0", id: 1, result: { tools } };
  await using spied = await openSpied(() => Response.json(result));
  const { access_token } = (await authorizedAgent(spied.world.url)).tokens;
  const url = `${spied.world.url}/mcp`;
  const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const answer = await post(url, access_token, list);
  expect(await answer.json()).toEqual(result);
  const called = { name: "trap", arguments: { $ref: reference } };
  await post(url, access_token, { ...list, method: "tools/call", params: called });
  expect(spied.upstream.seen).toHaveLength(2);
  expect(inside.connections()).toBe(0);
});

test.concurrent("SS-10: a hundred requests for one client at once fetch its document once", async () => {
  await using world = await room.hold(openDevelopmentWorld);
  await using served = serveDocuments(async (path, origin) => {
    await Bun.sleep(200);
    return Response.json(documentOf(`${origin}${path}`));
  });
  const clientId = `${served.origin}/client.json`;
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => isAccepted(world.url, clientId)),
  );
  expect(answers.every(Boolean)).toBe(true);
  expect(served.asked).toHaveLength(1);
});

test.concurrent("SS-10: no more than sixteen documents are fetched at once", async () => {
  await using world = await room.hold(openDevelopmentWorld);
  let running = 0;
  let most = 0;
  await using served = serveDocuments(async (path, origin) => {
    running += 1;
    most = Math.max(most, running);
    await Bun.sleep(300);
    running -= 1;
    return Response.json(documentOf(`${origin}${path}`));
  });
  await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      isAccepted(world.url, `${served.origin}/slow-${index}.json`),
    ),
  );
  expect(most).toBeLessThanOrEqual(16);
  expect(most).toBeGreaterThan(1);
});

test.concurrent("SS-10: no more than a thousand documents are kept", async () => {
  const asked: string[] = [];
  const guardedFetch = (url: string) => {
    asked.push(url);
    const headers = new Map([["content-type", "application/json"]]);
    return Promise.resolve({ status: 200, headers, text: JSON.stringify(documentOf(url)) });
  };
  const log = createLog({ level: "error", now: () => new Date(), write: () => true });
  const documents = createClientDocuments({ now: () => new Date(), log, guardedFetch }, "fetch");
  const id = (index: number) => `https://client.example/${index}.json`;
  for (let index = 0; index <= 1000; index++) await documents(id(index));
  await documents(id(1000));
  expect(asked).toHaveLength(1001);
  await documents(id(0));
  expect(asked).toHaveLength(1002);
});

test.concurrent("SS-10: a document that says for how long it holds is kept between a minute and a day", async () => {
  await using world = await room.hold(openDevelopmentWorld);
  await using gateway = await startBeside(world);
  const ages: Readonly<Record<string, string>> = {
    "/never.json": "no-store",
    "/hour.json": "max-age=3600",
    "/ever.json": "max-age=999999999",
  };
  await using served = serveDocuments((path, origin) =>
    Response.json(documentOf(`${origin}${path}`), { headers: { "cache-control": ages[path]! } }),
  );
  const fetched = async (afterSeconds: number) => {
    gateway.advance(afterSeconds * 1000);
    const before = served.asked.length;
    for (const path of Object.keys(ages)) await isAccepted(gateway.url, `${served.origin}${path}`);
    return served.asked.slice(before);
  };
  expect(await fetched(0)).toEqual(Object.keys(ages));
  expect(await fetched(59)).toEqual([]);
  expect(await fetched(2)).toEqual(["/never.json"]);
  expect(await fetched(3600)).toEqual(["/never.json", "/hour.json"]);
  expect(await fetched(86_400)).toEqual(Object.keys(ages));
});
