import { expect, test } from "bun:test";
import { startBeside } from "#test/attacks/setup.ts";
import { runBeside } from "#test/cli/run.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { scriptedUpstream } from "#test/support/upstream.ts";
import { type World, openWorld } from "#test/support/world.ts";

async function nodeOf(world: World): Promise<string> {
  return ((await runBeside(world, ["node", "show", "--json"])).json as { nodeId: string }).nodeId;
}

const send = (url: string, bearer: string | undefined, body: unknown) =>
  fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

test("a tool is called with its name and arguments alone, at the node's address and the short one", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_EDGE: "on" } });
  const bearer = await newBearer({ url: world.url });
  const node = `${world.url}/mcp/node/${await nodeOf(world)}`;
  for (const url of [`${node}/tools/call`, `${world.url}/mcp/tools/call`]) {
    const answer = await send(url, bearer, { name: "echo", arguments: { text: "hola ñ" } });
    expect([answer.status, await answer.json()]).toEqual([
      200,
      expect.objectContaining({ content: [{ type: "text", text: "hola ñ" }] }),
    ]);
    expect((await send(url, undefined, { name: "echo" })).status).toBe(401);
    expect((await send(url, "sd_ses_wrong", { name: "echo" })).status).toBe(401);
    for (const [body, code] of [
      ["{", "body_unreadable"],
      ["[]", "message_invalid"],
      ['{"name":7}', "message_invalid"],
      ['{"name":"echo","arguments":[]}', "message_invalid"],
      ['{"name":"echo","name":"close_listing"}', "message_invalid"],
    ] as const) {
      const refused = await send(url, bearer, body);
      expect([body, refused.status, ((await refused.json()) as { error: string }).error]).toEqual([
        body,
        400,
        code,
      ]);
    }
  }
  // Another node's token endpoint is none of ours, and nobody's name leads anywhere.
  for (const path of ["auth/token", "tools/call", "info"]) {
    const other = await send(`${world.url}/mcp/node/swift-fox-000000/${path}`, bearer, {});
    expect([path, other.status]).toEqual([path, 404]);
  }
});

test("the recipe of an agent with a secret: a token from the node's address, then a call", async () => {
  await using world = await openWorld({
    environment: {
      SMARTDASH_EDGE: "on",
      SMARTDASH_DEFAULT_UPSTREAM: "open",
      SMARTDASH_UPSTREAMS: JSON.stringify({
        open: { url: "http://127.0.0.1:9/", credential: "none" },
      }),
    },
  });
  await using upstream = scriptedUpstream(async (request) => {
    const { id } = (await request.json()) as { id: number };
    return new Response(
      `{"jsonrpc":"2.0","id":${id},"result":{"content":[],"seen":12345678901234567890}}`,
      { headers: { "content-type": "application/json" } },
    );
  });
  await using gateway = await startBeside(world, {
    PORT: "0",
    SMARTDASH_UPSTREAMS: JSON.stringify({ open: { url: upstream.url, credential: "none" } }),
  });
  const made = await runBeside(world, ["agents", "add", "--name", "Test agent", "--json"]);
  const { client_id, client_secret } = made.json as { client_id: string; client_secret: string };
  const node = `${gateway.url}/mcp/node/${await nodeOf(world)}`;
  const statusWith = async (tokenAddress: string) => {
    const token = await send(tokenAddress, undefined, {
      grant_type: "client_credentials",
      client_id,
      client_secret,
      scope: "mcp:read mcp:call",
    });
    expect(token.status).toBe(200);
    const { access_token: bearer } = (await token.json()) as { access_token: string };
    const answer = await send(`${gateway.url}/mcp/tools/call`, bearer, { name: "get_status" });
    return [answer.status, await answer.text()];
  };
  // At the node's own address the node is meant, at the short one the default MCP server.
  expect(await statusWith(`${node}/auth/token`)).toEqual([
    200,
    expect.stringContaining(await nodeOf(world)),
  ]);
  expect(await statusWith(`${gateway.url}/mcp/auth/token`)).toEqual([
    200,
    expect.stringContaining("12345678901234567890"),
  ]);
});

test("an upstream of an earlier era gets a session for the call, which ends with it", async () => {
  const seen: string[] = [];
  await using upstream = scriptedUpstream(async (request) => {
    const session = request.headers.get("mcp-session-id");
    if (request.method === "DELETE") {
      seen.push(`DELETE ${session}`);
      return new Response(null, { status: 204 });
    }
    const { id, method } = (await request.json()) as { id?: number; method: string };
    seen.push(`${method} ${session}`);
    if (method === "initialize") {
      const result = { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: {} };
      return Response.json({ jsonrpc: "2.0", id, result }, { headers: { "mcp-session-id": "s1" } });
    }
    if (session === null) {
      const error = { code: -32000, message: "Bad Request: Server not initialized" };
      return Response.json({ jsonrpc: "2.0", id: null, error }, { status: 400 });
    }
    if (id === undefined) return new Response(null, { status: 202 });
    const event = JSON.stringify({ jsonrpc: "2.0", id, result: { content: [], old: true } });
    return new Response(`event: message\ndata: ${event}\n\n`, {
      headers: { "content-type": "text/event-stream" },
    });
  });
  await using world = await openWorld({
    environment: {
      SMARTDASH_EDGE: "on",
      SMARTDASH_UPSTREAMS: JSON.stringify({ mercadolibre: { url: upstream.url } }),
    },
  });
  const bearer = await newBearer({ url: world.url });
  const answer = await send(`${world.url}/mcp/tools/call`, bearer, { name: "x" });
  expect([answer.status, await answer.json()]).toEqual([200, { content: [], old: true }]);
  expect(seen.map((each) => each.split(" ")[0])).toEqual([
    "tools/call",
    "initialize",
    "notifications/initialized",
    "tools/call",
    "DELETE",
  ]);
});

test("what a guard or the upstream refuses is told with its status and code", async () => {
  await using upstream = scriptedUpstream(async (request) => {
    const { id } = (await request.json()) as { id: number };
    return Response.json({ jsonrpc: "2.0", id, error: { code: -32602, message: "No such tool" } });
  });
  await using world = await openWorld({
    environment: {
      SMARTDASH_EDGE: "on",
      SMARTDASH_UPSTREAMS: JSON.stringify({ mercadolibre: { url: upstream.url } }),
    },
  });
  const bearer = await newBearer({ url: world.url });
  const url = `${world.url}/mcp/tools/call`;
  const wrong = await send(url, bearer, { name: "x" });
  expect([wrong.status, await wrong.json()]).toEqual([
    502,
    { error: { code: -32602, message: "No such tool" } },
  ]);
  await runBeside(world, ["switch", "off", "mercadolibre"]);
  const off = await send(url, bearer, { name: "x" });
  expect([off.status, await off.text()]).toEqual([
    503,
    expect.stringContaining("upstream_switched_off"),
  ]);
});

test("a resource is read by its URI, percent-encoded, and needs its scope", async () => {
  const asked: unknown[] = [];
  await using upstream = scriptedUpstream(async (request) => {
    const { id, method, params } = (await request.json()) as {
      id: number;
      method: string;
      params: { uri?: string };
    };
    asked.push([method, params.uri, request.headers.get("mcp-method")]);
    return Response.json({ jsonrpc: "2.0", id, result: { contents: [{ uri: params.uri }] } });
  });
  await using world = await openWorld({
    environment: {
      SMARTDASH_EDGE: "on",
      SMARTDASH_UPSTREAMS: JSON.stringify({ mercadolibre: { url: upstream.url } }),
    },
  });
  const bearer = await newBearer({ url: world.url });
  const node = `${world.url}/mcp/node/${await nodeOf(world)}`;
  const get = (uri: string, headers: Record<string, string>) =>
    fetch(`${node}/resources/${uri}`, { headers });
  const uri = "edge-hive://logs/ñ?day=1#x";
  const own = { authorization: `Bearer ${bearer}` };
  const answer = await get(encodeURIComponent(uri), own);
  expect([answer.status, await answer.json()]).toEqual([200, { contents: [{ uri }] }]);
  expect(asked).toEqual([["resources/read", uri, "resources/read"]]);
  expect((await get("%E0%A4%A", own)).status).toBe(400);
  expect((await get(encodeURIComponent(uri), {})).status).toBe(401);
  expect(asked).toHaveLength(1);
});

test("a client that leaves takes its request to the upstream with it, before and in the middle of the answer", async () => {
  for (const isStream of [false, true]) {
    const gone = Promise.withResolvers<boolean>();
    const begun = Promise.withResolvers<boolean>();
    await using upstream = scriptedUpstream((request) => {
      request.signal.addEventListener("abort", () => gone.resolve(true));
      begun.resolve(true);
      if (!isStream) return new Promise<Response>(() => {});
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode(": hello\n\n")),
        cancel: () => gone.resolve(true),
      });
      const headers = { "content-type": "text/event-stream" };
      return Promise.resolve(new Response(body, { headers }));
    });
    await using world = await openWorld({
      environment: {
        SMARTDASH_EDGE: "on",
        SMARTDASH_UPSTREAMS: JSON.stringify({ mercadolibre: { url: upstream.url } }),
      },
    });
    const bearer = await newBearer({ url: world.url });
    const leaving = new AbortController();
    const answer = fetch(`${world.url}/mcp/tools/call`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
      body: '{"name":"x"}',
      signal: leaving.signal,
    }).catch(() => "left");
    await begun.promise;
    await Bun.sleep(200);
    leaving.abort();
    expect(await answer).toBe("left");
    const isOver = await Promise.race([gone.promise, Bun.sleep(5000).then(() => false)]);
    expect([isStream, isOver]).toEqual([isStream, true]);
  }
}, 30_000);
