import { expect, test } from "bun:test";
import { connectSeller, mintBearer, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { effectUnknown, post, toolCall } from "#test/support/mcp.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";
import { emptyResult } from "#test/attacks/setup.ts";

const ok = emptyResult;

test("without a bearer, or with a bad one, the challenge names the metadata of this address", async () => {
  await using world = await openWorld();
  const bare = await fetch(`${world.url}/mcp/airtable`, { method: "POST", body: "{}" });
  expect(bare.status).toBe(401);
  const metadata = `${world.url}/.well-known/oauth-protected-resource/mcp/airtable`;
  expect(bare.headers.get("www-authenticate")).toBe(`Bearer resource_metadata="${metadata}"`);
  expect(await (await fetch(metadata)).json()).toMatchObject({
    resource: `${world.url}/mcp/airtable`,
  });
  for (const bearer of ["nonsense", `sd_ses_${"A".repeat(43)}`]) {
    const refused = await post(`${world.url}/mcp/airtable`, bearer, toolCall("whoami"));
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain('error="invalid_token"');
  }
  const inQuery = await fetch(`${world.url}/mcp?access_token=x`, { method: "POST", body: "{}" });
  expect(inQuery.status).toBe(401);
});

test("the metadata stands at the root, at the path and for the alias, each with its own resource", async () => {
  await using world = await openWorld();
  const at = async (path: string) =>
    (await (await fetch(`${world.url}/.well-known/oauth-protected-resource${path}`)).json()) as {
      resource: string;
    };
  expect((await at("")).resource).toBe(`${world.url}/mcp`);
  expect((await at("/mcp")).resource).toBe(`${world.url}/mcp`);
  expect((await at("/api/mcp/mercadolibre")).resource).toBe(`${world.url}/api/mcp/mercadolibre`);
});

test("a bearer for one provider's account is no use at another provider's upstream", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const answer = await post(`${world.url}/mcp/airtable`, bearer, toolCall("whoami"));
  expect(answer.status).toBe(403);
  expect(await answer.json()).toMatchObject({ error: { data: { code: "account_mismatch" } } });
});

test("the upstream sees the account's credential and nothing of the client's", async () => {
  await using upstream = scriptedUpstream(ok);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  await post(`${world.url}/mcp`, bearer, toolCall("echo"), {
    cookie: "session=client",
    origin: world.url,
    referer: "https://client.example/",
    dpop: "proof",
    "x-api-key": "client-key",
    "x-forwarded-for": "203.0.113.9",
    connection: "keep-alive, mcp-name",
    "mcp-method": "tools/call",
    "mcp-name": "echo",
    "mcp-param-region": "eu",
    "mcp-protocol-version": "2025-11-25",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  });
  const sent = Object.fromEntries(upstream.seen[0]!.headers);
  expect(sent["authorization"]).toStartWith("Bearer APP_USR-");
  expect(sent["mcp-name"]).toBe("echo");
  expect(sent["mcp-param-region"]).toBe("eu");
  expect(sent["mcp-protocol-version"]).toBe("2025-11-25");
  expect(sent["traceparent"]).toBeDefined();
  expect(sent["accept-encoding"]).toBe("identity");
  for (const name of ["cookie", "origin", "referer", "dpop", "x-api-key", "x-forwarded-for"]) {
    expect(sent[name]).toBeUndefined();
  }
  expect(JSON.stringify(upstream.seen)).not.toContain(bearer);
});

test("the client never sees the upstream's challenge, cookies or encoding", async () => {
  const body = Bun.gzipSync(
    new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", id: 1, result: { zipped: true } })),
  );
  await using upstream = scriptedUpstream(
    () =>
      new Response(body, {
        status: 403,
        headers: {
          "content-type": "application/json",
          "content-encoding": "gzip",
          "www-authenticate": 'Bearer resource_metadata="https://evil.example"',
          "set-cookie": "upstream=1",
          location: "https://evil.example",
          server: "upstream/1",
          "retry-after": "7",
        },
      }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const answer = await post(
    `${world.url}/mcp`,
    await newBearer({ url: world.url }),
    toolCall("echo"),
  );
  expect(answer.status).toBe(403);
  expect(await answer.json()).toEqual({ jsonrpc: "2.0", id: 1, result: { zipped: true } });
  expect(answer.headers.get("retry-after")).toBe("7");
  for (const name of ["www-authenticate", "set-cookie", "content-encoding", "location", "server"]) {
    expect(answer.headers.get(name)).toBeNull();
  }
});

test("the body goes through byte by byte, whatever its spacing, escapes and ids", async () => {
  await using upstream = scriptedUpstream(ok);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const body =
    '{ "id" : "a\\u00e9\\/1" ,\n"jsonrpc":"2.0", "method":"tools/call","params":{"name":"ñandú","arguments":{"n":1.10e2}}}';
  await post(`${world.url}/mcp`, await newBearer({ url: world.url }), body);
  expect(upstream.seen[0]?.body).toBe(body);
});

test("Accept always has text/event-stream", async () => {
  await using upstream = scriptedUpstream(ok);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  for (const accept of ["application/json", "*/*", "text/event-stream, application/json"]) {
    await post(`${world.url}/mcp`, bearer, toolCall("echo"), { accept });
  }
  for (const { headers } of upstream.seen)
    expect(headers.get("accept")).toContain("text/event-stream");
});

test("a body above 4 MiB is refused with words, one just below passes", async () => {
  await using upstream = scriptedUpstream(ok);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const sized = (bytes: number) => toolCall("echo", { text: "x".repeat(bytes) });
  expect((await post(`${world.url}/mcp`, bearer, sized(4 * 1024 * 1024 - 200))).status).toBe(200);
  const refused = await post(`${world.url}/mcp`, bearer, sized(4 * 1024 * 1024));
  expect(refused.status).toBe(413);
  expect(await refused.json()).toMatchObject({ error: { data: { code: "body_too_large" } } });
  expect((await post(`${world.url}/mcp`, bearer, sized(9 * 1024 * 1024))).status).toBe(413);
  expect(upstream.seen).toHaveLength(1);
});

test("what is not JSON, or not a message, never reaches the upstream", async () => {
  await using upstream = scriptedUpstream(ok);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const codes = { "{": -32700, '"text"': -32600, "[]": -32600, "[1]": -32600, "\u0000": -32700 };
  for (const [body, code] of Object.entries(codes)) {
    const refused = await post(`${world.url}/mcp`, bearer, body);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ jsonrpc: "2.0", id: null, error: { code } });
  }
  expect(upstream.seen).toHaveLength(0);
});

const modern = (method: string, params: Readonly<Record<string, unknown>>) => ({
  jsonrpc: "2.0",
  id: 9,
  method,
  params: { ...params, _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } },
});

test("modern headers that differ from the body are refused before the upstream hears of them", async () => {
  await using upstream = scriptedUpstream(ok);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const version = { "mcp-protocol-version": "2026-07-28" };
  const call = modern("tools/call", { name: "harmless" });
  const wrong: readonly Readonly<Record<string, string>>[] = [
    version,
    { ...version, "mcp-method": "tools/list", "mcp-name": "harmless" },
    { ...version, "mcp-method": "tools/call" },
    { ...version, "mcp-method": "tools/call", "mcp-name": "other" },
    { ...version, "mcp-method": "tools/call", "mcp-name": "Harmless" },
    { ...version, "mcp-method": "tools/call", "mcp-name": "=?base64?aGFybWxlc3M?=" },
    { "mcp-protocol-version": "2027-01-01", "mcp-method": "tools/call", "mcp-name": "harmless" },
    { "mcp-method": "tools/call", "mcp-name": "harmless" },
  ];
  for (const headers of wrong) {
    const refused = await post(`${world.url}/mcp`, bearer, call, headers);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ id: 9, error: { code: -32020 } });
  }
  expect(upstream.seen).toHaveLength(0);
  for (const name of ["harmless", "=?base64?aGFybWxlc3M=?="]) {
    const right = { ...version, "mcp-method": "tools/call", "mcp-name": name };
    expect((await post(`${world.url}/mcp`, bearer, call, right)).status).toBe(200);
  }
});

test("an upstream's session belongs to the caller it was given to", async () => {
  await using upstream = scriptedUpstream(() =>
    Response.json(
      { jsonrpc: "2.0", id: 1, result: {} },
      { headers: { "mcp-session-id": "upstream-session" } },
    ),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const mine = await newBearer({ url: world.url });
  const theirs = await newBearer({ url: world.url, seller: "100200301" });
  const given =
    (await post(`${world.url}/mcp`, mine, toolCall("echo"))).headers.get("mcp-session-id") ?? "";
  expect(given).not.toBe("upstream-session");
  const before = upstream.seen.length;
  for (const method of ["POST", "GET", "DELETE"]) {
    for (const session of [given, "upstream-session", `upstream-session.${"A".repeat(22)}`]) {
      const body = method === "POST" ? JSON.stringify(toolCall("echo")) : null;
      const headers = {
        authorization: `Bearer ${theirs}`,
        "mcp-session-id": session,
        "last-event-id": "1",
      };
      const refused = await fetch(`${world.url}/mcp`, { method, headers, body });
      expect(refused.status).toBe(404);
    }
  }
  expect(upstream.seen).toHaveLength(before);
  await post(`${world.url}/mcp`, mine, toolCall("echo"), { "mcp-session-id": given });
  expect(upstream.seen.at(-1)?.headers.get("mcp-session-id")).toBe("upstream-session");
});

test("another replica honours the session binding", async () => {
  await using upstream = scriptedUpstream(() =>
    Response.json({ jsonrpc: "2.0", id: 1, result: {} }, { headers: { "mcp-session-id": "s1" } }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const { openApp } = await import("#src/app.ts");
  const { startGateway } = await import("#src/gateway/gateway.ts");
  const { bunRuntime } = await import("#src/runtime/bun.ts");
  const other = await openApp({
    environment: world.environment,
    runtime: bunRuntime,
    role: "gateway",
  });
  const second = await startGateway(other.app, bunRuntime);
  const bearer = await newBearer({ url: world.url });
  const session =
    (await post(`${world.url}/mcp`, bearer, toolCall("echo"))).headers.get("mcp-session-id") ?? "";
  const answer = await post(`${second.publicUrl}/mcp`, bearer, toolCall("echo"), {
    "mcp-session-id": session,
  });
  expect(answer.status).toBe(200);
  expect(upstream.seen.at(-1)?.headers.get("mcp-session-id")).toBe("s1");
  await second.stop();
  await other.close();
});

test("redirects are never followed with a credential", async () => {
  await using elsewhere = scriptedUpstream(ok);
  await using upstream = scriptedUpstream(() => Response.redirect(elsewhere.url, 307));
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const answer = await post(
    `${world.url}/mcp`,
    await newBearer({ url: world.url }),
    toolCall("echo"),
  );
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    effectUnknown("upstream_redirected"),
  ]);
  expect(elsewhere.seen).toHaveLength(0);
});

test("an upstream that hangs is told as a failed result or 504, and its connection is cut", async () => {
  const cut = Promise.withResolvers<void>();
  await using upstream = scriptedUpstream(async (request) => {
    await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
    cut.resolve();
    return Response.json({ jsonrpc: "2.0", id: 77, result: {} });
  });
  await using world = await openWorld({
    environment: { ...pointedAt(upstream.url), UPSTREAM_FIRST_BYTE_TIMEOUT_MS: "300" },
  });
  const answer = await post(
    `${world.url}/mcp`,
    await newBearer({ url: world.url }),
    toolCall("echo", {}, 77),
  );
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    effectUnknown("upstream_timeout", 77),
  ]);
  await cut.promise;
  const list = await post(`${world.url}/mcp`, await newBearer({ url: world.url }), {
    jsonrpc: "2.0",
    id: 78,
    method: "tools/list",
  });
  // What can be repeated is told by HTTP alone.
  expect([list.status, await list.json()]).toMatchObject([
    504,
    { id: 78, error: { data: { code: "upstream_timeout" } } },
  ]);
});

test("a JSON answer that never ends is cut at its limit, whether small, big or of unknown size", async () => {
  const drip = (headers: Readonly<Record<string, string>>) =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await Bun.sleep(20);
          controller.enqueue(new TextEncoder().encode(" "));
        },
      }),
      { headers: { "content-type": "application/json", ...headers } },
    );
  await using upstream = scriptedUpstream(() => drip({}));
  await using world = await openWorld({
    environment: { ...pointedAt(upstream.url), UPSTREAM_TOTAL_TIMEOUT_MS: "300" },
  });
  const answer = await post(
    `${world.url}/mcp`,
    await newBearer({ url: world.url }),
    toolCall("echo"),
  );
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    effectUnknown("upstream_timeout"),
  ]);
});

test("an upstream that is not there gets 502, one whose address swallows connections 504", async () => {
  await using world = await openWorld({ environment: pointedAt("http://127.0.0.1:1/mcp") });
  const answer = await post(
    `${world.url}/mcp`,
    await newBearer({ url: world.url }),
    toolCall("echo"),
  );
  expect(answer.status).toBe(502);
  expect(await answer.json()).toMatchObject({ error: { data: { code: "upstream_unreachable" } } });
});

test("a static key goes where the configuration says, and an open upstream gets no credential", async () => {
  await using upstream = scriptedUpstream(ok);
  const own = {
    keyed: { url: upstream.url, credential: { key: "operator-key-123456", header: "X-Api-Key" } },
    open: { url: upstream.url, credential: "none" },
  };
  await using world = await openWorld({ environment: pointedAt(upstream.url, own) });
  const bearer = await newBearer({ url: world.url });
  await post(`${world.url}/mcp/keyed`, bearer, toolCall("echo"));
  await post(`${world.url}/mcp/open`, bearer, toolCall("echo"));
  expect(upstream.seen[0]?.headers.get("x-api-key")).toBe("operator-key-123456");
  expect(upstream.seen[0]?.headers.get("authorization")).toBeNull();
  expect(upstream.seen[1]?.headers.get("authorization")).toBeNull();
});

test("a foreign Host or Origin is refused before the bearer is looked at", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const port = new URL(world.url).port;
  const refused = [
    "http://evil.example",
    "null",
    "http://localhost.evil.example",
    `http://localhost:${Number(port) + 1}`,
    "http://127.0.0.1.nip.io",
  ];
  for (const origin of refused) {
    expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"), { origin })).status).toBe(
      403,
    );
  }
  expect(
    (await post(`${world.url}/mcp`, bearer, toolCall("whoami"), { origin: world.url })).status,
  ).toBe(200);
  const host = await fetch(`${world.url}/auth/authorize`, { headers: { host: "evil.example" } });
  expect(host.status).toBe(403);
});

test("other methods are answered with what is allowed, unknown addresses with 404", async () => {
  await using world = await openWorld();
  const put = await fetch(`${world.url}/mcp`, { method: "PUT", body: "x" });
  expect(put.status).toBe(405);
  expect(put.headers.get("allow")).toBe("GET, POST, DELETE");
  expect((await fetch(`${world.url}/mcp/unheard-of`, { method: "POST" })).status).toBe(404);
});

test("health of an upstream: GET and HEAD, no account named, warn while it is away", async () => {
  await using world = await openWorld({ environment: pointedAt("http://127.0.0.1:1/mcp") });
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  await mintBearer(visitor, world.url);
  const away = await fetch(`${world.url}/api/mcp/mercadolibre/health`);
  expect(away.status).toBe(200);
  const text = await away.text();
  expect(JSON.parse(text)).toMatchObject({
    status: "warn",
    checks: { database: "pass", upstream: "upstream_unreachable" },
  });
  expect(text).not.toMatch(/100200300|TIENDA_DEMO/);
  await using well = await openWorld();
  const head = await fetch(`${well.url}/api/mcp/airtable/health`, { method: "HEAD" });
  expect(head.status).toBe(200);
  const fine = await (await fetch(`${well.url}/api/mcp/airtable/health`)).json();
  expect(fine).toMatchObject({ status: "pass" });
});

test("every call is recorded without its contents", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  await post(`${world.url}/mcp`, bearer, toolCall("echo", { text: "private words" }));
  let rows: readonly Record<string, unknown>[] = [];
  for (let attempt = 0; rows.length === 0 && attempt < 100; attempt++) {
    rows = await world.app.db.execute("select * from calls");
    await Bun.sleep(50);
  }
  expect(rows[0]).toMatchObject({
    rpc_method: "tools/call",
    name: "echo",
    status: 200,
    upstream: "mercadolibre",
  });
  expect(JSON.stringify(rows)).not.toContain("private words");
});

test("an answer to another request is nobody's: the connection it came on is given up, and the next call is answered", async () => {
  // A server that answers each request twice, the second time whenever the next one has been read.
  let late = "";
  const connections = new Set<object>();
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        connections.add(socket);
        const body = bytes.toString().split("\r\n\r\n")[1] ?? "";
        const id = /"id":(\d+)/.exec(body)?.[1] ?? "0";
        const secret = `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"of ${id}"}]}}`;
        const answer = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${secret.length}\r\n\r\n${secret}`;
        // What was late comes first, in one piece with what was asked now.
        socket.write(late === "" ? answer : late);
        late = late === "" ? answer : "";
      },
    },
  });
  await using world = await openWorld({
    environment: pointedAt(`http://127.0.0.1:${server.port}/mcp`),
  });
  const bearer = await newBearer({ url: world.url });
  const ask = async (id: number) => {
    const answer = await post(`${world.url}/mcp`, bearer, { ...toolCall("x"), id });
    return { status: answer.status, text: await answer.text() };
  };
  expect(await ask(1)).toMatchObject({ status: 200, text: expect.stringContaining("of 1") });
  const second = await ask(2);
  expect(second.text).not.toContain("of 1");
  expect(JSON.parse(second.text)).toMatchObject(effectUnknown("upstream_invalid", 2));
  expect((await ask(3)).text).toContain("of 3");
  server.stop(true);
});

/** Answers each request with the answer to the one before it on the same connection, of whoever that was. */
function offByOne(wrap: (message: string) => string) {
  const before = new WeakMap<object, string>();
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        const [head = "", body = ""] = bytes.toString().split("\r\n\r\n");
        const id = /"id":(\d+)/.exec(body)?.[1] ?? "0";
        const whose = /authorization: Bearer (\S+)/i.exec(head)?.[1] ?? "";
        const own = `{"jsonrpc":"2.0","id":${id},"result":{"of":"${Bun.hash(whose)}"}}`;
        socket.write(wrap(before.get(socket) ?? own));
        before.set(socket, own);
      },
    },
  });
}

const framed = (type: string, body: string, length = `content-length: ${body.length}`) =>
  `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${length}\r\n\r\n${body}`;
const chunkOf = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;

test.each([
  ["JSON", (message: string) => framed("application/json", message)],
  ["an event", (message: string) => framed("text/event-stream", `data: ${message}\n\n`)],
  [
    "an event in a chunk",
    (message: string) =>
      framed("text/event-stream", chunkOf(`data: ${message}\n\n`), "transfer-encoding: chunked"),
  ],
])(
  "nobody gets another person's answer over a connection that is one behind: %s",
  async (_, wrap) => {
    const server = offByOne(wrap);
    await using world = await openWorld({
      environment: pointedAt(`http://127.0.0.1:${server.port}/mcp`),
    });
    const one = await newBearer({ url: world.url });
    const other = await newBearer({ url: world.url, seller: "100200301" });
    const ask = async (bearer: string, id: number) =>
      (await post(`${world.url}/mcp`, bearer, toolCall("x", {}, id))).text();
    const own = /"of":"(\d+)"/.exec(await ask(one, 1))?.[1];
    expect(own).toBeDefined();
    expect(await ask(one, 7)).toContain("upstream_invalid");
    // The same id: only whose connection it comes on tells them apart.
    const theirs = /"of":"(\d+)"/.exec(await ask(other, 7))?.[1];
    expect(theirs).toBeDefined();
    expect(theirs).not.toBe(own);
    server.stop(true);
  },
);

const others = '{"jsonrpc":"2.0","id":99,"result":{"of":"OTHERS"}}';
const event = `event: message\ndata: ${others}\n\n`;
const inPieces = (text: string) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const part of [text.slice(0, 20), text.slice(20)]) {
        controller.enqueue(new TextEncoder().encode(part));
      }
      controller.close();
    },
  });
const jsonOf = (body: BodyInit, headers: Readonly<Record<string, string>> = {}) =>
  new Response(body, { headers: { "content-type": "application/json", ...headers } });
const streamOf = (body: BodyInit) =>
  new Response(body, { headers: { "content-type": "text/event-stream" } });

test.each([
  ["with its length", () => jsonOf(others)],
  ["in pieces", () => jsonOf(inPieces(others))],
  ["compressed", () => jsonOf(Bun.gzipSync(Buffer.from(others)), { "content-encoding": "gzip" })],
  [
    "larger than is read whole",
    () => jsonOf(others.replace("OTHERS", `OTHERS${"x".repeat(1_100_000)}`)),
  ],
  ["in a batch", () => jsonOf(`[${others}]`)],
  ["with its own id inside", () => jsonOf(others.replace('"OTHERS"', '{"x":"OTHERS","id":1}'))],
  ["with an escaped member", () => jsonOf(others.replace('"id"', String.raw`"\u0069d"`))],
  ["with an id of another kind", () => jsonOf(others.replace("99", '"1"'))],
  ["as an event", () => streamOf(event)],
  [
    "as an event with a method somewhere in it",
    () => streamOf(event.replace('"OTHERS"', '{"x":"OTHERS","method":"x"}')),
  ],
  [
    "as an event with a method beside its result",
    () => streamOf(event.replace('"result"', '"method":"x","result"')),
  ],
  [
    "as an event with an escaped member",
    () => streamOf(event.replace('"result"', String.raw`"\u0072esult"`)),
  ],
  ["as an event in pieces", () => streamOf(inPieces(event))],
])("an answer to another request, %s, is not passed on", async (_, answer) => {
  await using upstream = scriptedUpstream(answer);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const text = await post(`${world.url}/mcp`, bearer, toolCall("x"))
    .then((got) => got.text())
    .catch(() => "broken off");
  expect(text).not.toContain("OTHERS");
  expect(text).toMatch(/upstream_invalid|broken off/);
});

test.each([
  ["a notification", { method: "notifications/initialized" }],
  ["an answer of the client", { id: "q1", result: {} }],
])("who sends %s gets no answer of somebody else, and its connection ends", async (_, message) => {
  for (const answer of [() => jsonOf(others), () => streamOf(event)]) {
    await using upstream = scriptedUpstream(answer);
    await using world = await openWorld({ environment: pointedAt(upstream.url) });
    const bearer = await newBearer({ url: world.url });
    const got = await post(`${world.url}/mcp`, bearer, { jsonrpc: "2.0", ...message });
    const text = await got.text();
    expect(text).not.toContain("OTHERS");
    expect(text).toContain("upstream_invalid");
  }
});

test("what a server asks and tells on a stream passes, whatever its own ids are", async () => {
  const said = [
    { method: "notifications/progress", params: { progressToken: 1, progress: 1 } },
    { id: 99, method: "sampling/createMessage", params: { result: "x" } },
    { id: 1, result: { method: "x" } },
  ];
  const events = said.map((each) => `data: ${JSON.stringify({ jsonrpc: "2.0", ...each })}\n\n`);
  await using upstream = scriptedUpstream(() => streamOf(events.join("")));
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const text = await (await post(`${world.url}/mcp`, bearer, toolCall("x"))).text();
  for (const each of events) expect(text).toContain(each);
});

test("a header that cannot be sent on is the client's mistake, and says nothing of the upstream", async () => {
  await using upstream = scriptedUpstream(ok);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  for (const [name, value] of [
    ["last-event-id", "a\x7f"],
    ["tracestate", "\x7f"],
    ["accept", "application/json\x7f"],
  ] as const) {
    const got = await post(`${world.url}/mcp`, bearer, toolCall("x"), { [name]: value });
    expect([name, got.status]).toEqual([name, 400]);
    expect(await got.text()).toContain(`The header ${name} holds a control character`);
  }
  expect(upstream.seen).toHaveLength(0);
});

test("what a server says of a session that is gone passes, with the placeholder of the Python SDK for an id", async () => {
  const body = { jsonrpc: "2.0", id: "server-error", error: { code: -32600, message: "gone" } };
  await using upstream = scriptedUpstream(() => Response.json(body, { status: 404 }));
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const got = await post(`${world.url}/mcp`, await newBearer({ url: world.url }), toolCall("x"));
  expect({ status: got.status, text: await got.text() }).toMatchObject({
    status: 404,
    text: expect.stringContaining("gone"),
  });
});
