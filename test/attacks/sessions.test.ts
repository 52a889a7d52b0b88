import { expect, test } from "bun:test";
import { allow, authorizedAgent, newPkce, registerAgent } from "#test/support/agent-like.ts";
import { mintBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { startSsePeer } from "#test/support/sse-peer.ts";
import { pointedAt } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";
import { connectedVisitor, modernMeta, openSpied, textsOf } from "./setup.ts";

const sessionOf = "upstream-session-1";

/** Answers with a session, as an upstream of the older revisions does. */
const withSession = () =>
  Response.json(
    { jsonrpc: "2.0", id: 1, result: {} },
    { headers: { "mcp-session-id": sessionOf } },
  );

/** Two people with their own accounts, and the session that the first of them was given. */
async function twoPeople(url: string) {
  const mine = (await authorizedAgent(url)).tokens.access_token;
  const theirs = (await authorizedAgent(url, { seller: "100200301" })).tokens.access_token;
  const first = await post(`${url}/mcp`, mine, toolCall("echo"));
  return { mine, theirs, session: first.headers.get("mcp-session-id") ?? "" };
}

type Sent = { readonly bearer?: string; readonly headers: Readonly<Record<string, string>> };

function send(url: string, method: string, { bearer, headers }: Sent): Promise<Response> {
  const proof: Record<string, string> =
    bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
  const type: Record<string, string> =
    method === "POST" ? { "content-type": "application/json" } : {};
  const body = method === "POST" ? JSON.stringify(toolCall("echo")) : null;
  return fetch(url, { method, headers: { ...headers, ...proof, ...type }, body });
}

const methods = ["POST", "GET", "DELETE"] as const;

test("SH-1: a session is of no use to another person", async () => {
  await using spied = await openSpied(withSession);
  const { world, upstream } = spied;
  const url = `${world.url}/mcp`;
  const { mine, theirs, session } = await twoPeople(world.url);
  const before = upstream.seen.length;
  for (const method of methods) {
    for (const id of [session, sessionOf]) {
      const refused = await send(url, method, {
        bearer: theirs,
        headers: { "mcp-session-id": id },
      });
      expect([method, refused.status]).toEqual([method, 404]);
    }
  }
  expect(upstream.seen).toHaveLength(before);
  for (const method of methods) {
    await send(url, method, { bearer: mine, headers: { "mcp-session-id": session } });
    expect(upstream.seen.at(-1)?.headers.get("mcp-session-id")).toBe(sessionOf);
  }
  expect(upstream.seen).toHaveLength(before + methods.length);
});

test("SH-1: a session of one upstream is of no use at another", async () => {
  const more = (url: string) => ({ open: { url, credential: "none" } });
  await using spied = await openSpied(withSession, { more });
  const { world, upstream } = spied;
  const visitor = await connectedVisitor(world.url);
  const bearer = await mintBearer(visitor, world.url);
  const first = await post(`${world.url}/mcp`, bearer, toolCall("echo"));
  const headers = { "mcp-session-id": first.headers.get("mcp-session-id")! };
  expect((await post(`${world.url}/mcp/open`, bearer, toolCall("echo"), headers)).status).toBe(404);
  expect(upstream.seen).toHaveLength(1);
});

test("SH-1: a message endpoint of 2024-11-05 is of no use to another person", async () => {
  await using peer = await startSsePeer();
  await using world = await openWorld({ environment: pointedAt(peer.url) });
  const mine = (await authorizedAgent(world.url)).tokens.access_token;
  const theirs = (await authorizedAgent(world.url, { seller: "100200301" })).tokens.access_token;
  const stream = await fetch(`${world.url}/mcp`, { headers: { authorization: `Bearer ${mine}` } });
  const given = Promise.withResolvers<string>();
  const answers = Promise.withResolvers<string>();
  const read = async () => {
    for await (const text of textsOf(stream)) {
      const named = /data: (\/mcp\?sd=\S+)/.exec(text)?.[1];
      if (named !== undefined) given.resolve(named);
      if (text.includes("hello from 2024")) answers.resolve(text);
    }
  };
  void read().catch(() => undefined);
  const endpoint = await given.promise;
  const address = `${world.url}${endpoint}`;
  expect((await post(address, theirs, toolCall("echo"))).status).toBe(404);
  const [bound = ""] = /[\w.-]+$/.exec(endpoint) ?? [];
  const altered = Buffer.from(peer.endpoints[0]!).toString("base64url");
  for (const value of [altered, `${altered}.${"A".repeat(22)}`, `x${bound}`, ""]) {
    expect((await post(`${world.url}/mcp?sd=${value}`, mine, toolCall("echo"))).status).toBe(404);
  }
  expect((await post(address, mine, toolCall("echo"))).status).toBe(202);
  expect(await answers.promise).toContain("hello from 2024");
});

test("SH-2: a stream is not resumed with another person's session; without one, only the asker's own account is asked", async () => {
  await using spied = await openSpied(withSession);
  const { world, upstream } = spied;
  const url = `${world.url}/mcp`;
  const { mine, theirs, session } = await twoPeople(world.url);
  const before = upstream.seen.length;
  const headers = { "mcp-session-id": session, "last-event-id": "stream-of-mine_7" };
  expect((await send(url, "GET", { bearer: theirs, headers })).status).toBe(404);
  expect(upstream.seen).toHaveLength(before);
  await send(url, "GET", { bearer: theirs, headers: { "last-event-id": "stream-of-mine_7" } });
  const credentials = new Set(
    upstream.seen.slice(0, -1).map((each) => each.headers.get("authorization")),
  );
  const asked = upstream.seen.at(-1)!.headers;
  expect(credentials.has(asked.get("authorization"))).toBe(false);
  await send(url, "GET", { bearer: mine, headers });
  expect(upstream.seen.at(-1)?.headers.get("last-event-id")).toBe("stream-of-mine_7");
});

test("SH-2: where all people share one key, an event id without a session resumes nothing", async () => {
  const more = (url: string) => ({
    keyed: { url, credential: { key: "operator-key-123456", header: "X-Api-Key" } },
  });
  await using spied = await openSpied(withSession, { more });
  const { world, upstream } = spied;
  const query = { resource: `${world.url}/mcp/keyed` };
  const { tokens } = await authorizedAgent(world.url, { query });
  const headers = { "last-event-id": "stream-of-somebody_7" };
  await send(`${world.url}/mcp/keyed`, "GET", { bearer: tokens.access_token, headers });
  expect(upstream.seen.map((each) => each.headers.get("last-event-id"))).not.toContain(
    "stream-of-somebody_7",
  );
});

test("SH-3: a session without a token proves nothing", async () => {
  await using spied = await openSpied(withSession);
  const { world, upstream } = spied;
  const { session } = await twoPeople(world.url);
  const before = upstream.seen.length;
  for (const method of methods) {
    for (const id of [session, sessionOf]) {
      const headers = { "mcp-session-id": id, "last-event-id": "1", cookie: `session=${id}` };
      const refused = await send(`${world.url}/mcp`, method, { headers });
      expect([method, refused.status]).toEqual([method, 401]);
      const asBearer = await send(`${world.url}/mcp`, method, { bearer: id, headers });
      expect([method, asBearer.status]).toEqual([method, 401]);
    }
  }
  expect(upstream.seen).toHaveLength(before);
});

test("SH-4: everything that we hand out holds at least 128 bits that nobody can guess", async () => {
  await using spied = await openSpied(withSession);
  const { world, upstream } = spied;
  const { url } = world;
  const device = "urn:ietf:params:oauth:grant-type:device_code";
  const visitor = await connectedVisitor(url);
  const seen: Record<string, string[]> = {};
  const note = (kind: string, value: string) => (seen[kind] ??= []).push(value);
  for (let round = 0; round < 5; round++) {
    const { client_id: clientId } = await registerAgent(url, {
      grant_types: ["authorization_code", "refresh_token", device],
    });
    const asking = { url, clientId, pkce: newPkce(), query: { prompt: "consent" } };
    const code = (await allow(visitor, asking)).searchParams.get("code")!;
    const { tokens } = await authorizedAgent(url, { visitor, clientId });
    const asked = await fetch(`${url}/device_authorization`, {
      method: "POST",
      body: new URLSearchParams({ client_id: clientId }),
    });
    const { device_code } = (await asked.json()) as { device_code: string };
    const answer = await post(`${url}/mcp`, tokens.access_token, toolCall("echo"));
    note("client", clientId.slice("agent_".length));
    note("code", code.slice("sd_cod_".length));
    note("refresh", tokens.refresh_token.slice("sd_ref_".length));
    note("device", device_code.slice("sd_dev_".length));
    note("bearer", (await mintBearer(visitor, url)).slice("sd_ses_".length));
    note("request", answer.headers.get("x-request-id")!);
    const payload = tokens.access_token.split(".")[1]!;
    const { jti } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { jti: string };
    note("token", jti);
  }
  for (const [kind, values] of Object.entries(seen)) {
    expect([kind, new Set(values).size]).toEqual([kind, 5]);
    if (kind === "request") continue;
    for (const value of values) expect(value).toMatch(/^[\w-]{22,}$/);
    const beginnings = new Set(values.map((value) => value.slice(0, 6)));
    expect([kind, beginnings.size]).toEqual([kind, 5]);
  }
  const { tokens } = await authorizedAgent(url, { visitor });
  const call = (session: string) =>
    post(`${url}/mcp`, tokens.access_token, toolCall("echo"), { "mcp-session-id": session });
  const given = await post(`${url}/mcp`, tokens.access_token, toolCall("echo"));
  const session = given.headers.get("mcp-session-id")!;
  expect(session.slice(sessionOf.length)).toMatch(/^\.[\w-]{22}$/);
  const before = upstream.seen.length;
  const tag = session.slice(sessionOf.length + 1);
  const other = tag.startsWith("A") ? "B" : "A";
  for (const altered of [
    `${sessionOf}.${other}${tag.slice(1)}`,
    `${sessionOf}.${tag.slice(0, -1)}`,
    `${sessionOf}.${tag}x`,
    `${sessionOf}x.${tag}`,
    `.${tag}`,
    tag,
    "",
    "x".repeat(5000),
  ]) {
    expect((await call(altered)).status).toBe(404);
  }
  expect(upstream.seen).toHaveLength(before);
  expect((await call(session)).status).toBe(200);
});

test("SH-4: a device's short code is guarded against trying", async () => {
  await using world = await openWorld();
  const visitor = await connectedVisitor(world.url);
  const statuses: number[] = [];
  for (let round = 0; round < 15; round++) {
    statuses.push((await visitor.get(`${world.url}/device?user_code=BCDF-GHJK`)).status);
  }
  expect(statuses.slice(0, 5)).toEqual([400, 400, 400, 400, 400]);
  expect(statuses.at(-1)).toBe(429);
});

test("SH-5: an upstream's requestState goes out and comes back byte by byte", async () => {
  const requestState = 'opaque +/="\\u00e9\\ \u00e9.sd_ses_x';
  const result = { resultType: "input_required", inputRequests: {}, requestState };
  const said = JSON.stringify({ jsonrpc: "2.0", id: 1, result });
  const headers = { "content-type": "application/json" };
  await using spied = await openSpied(() => new Response(said, { headers }));
  const { world, upstream } = spied;
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  const modern = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "ask",
  };
  const call = { ...toolCall("ask"), params: { name: "ask", arguments: {}, _meta: modernMeta } };
  const answer = await post(`${world.url}/mcp`, access_token, call, modern);
  expect(await answer.text()).toBe(said);
  const again = JSON.stringify({
    ...call,
    id: 2,
    params: { ...call.params, inputResponses: {}, requestState },
  });
  await post(`${world.url}/mcp`, access_token, again, modern);
  expect(upstream.seen.at(-1)?.body).toBe(again);
});

test("SH-5: the gateway's own question carries no state that could be altered or passed on", async () => {
  await using world = await openWorld();
  const { access_token } = (await authorizedAgent(world.url)).tokens;
  world.sandbox.providers.get("mercadolibre")!.grants.revoke("100200300");
  const about = {
    ...modernMeta,
    "io.modelcontextprotocol/clientCapabilities": { elicitation: { url: {} } },
  };
  const call = { ...toolCall("whoami"), params: { name: "whoami", arguments: {}, _meta: about } };
  const headers = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "whoami",
  };
  const answer = await post(`${world.url}/mcp`, access_token, call, headers);
  const { result } = (await answer.json()) as { result: Record<string, unknown> };
  expect(result["resultType"]).toBe("input_required");
  expect(Object.keys(result)).not.toContain("requestState");
  expect(JSON.stringify(result)).not.toMatch(/sd_\w{3}_|eyJ/);
});

test("SH-6: a task is asked for with the asker's own account, and needs their own token", async () => {
  await using spied = await openSpied();
  const { world, upstream } = spied;
  const { mine, theirs } = await twoPeople(world.url);
  const task = { jsonrpc: "2.0", id: 4, method: "tasks/get", params: { taskId: "task-of-mine" } };
  await post(`${world.url}/mcp`, mine, task);
  await post(`${world.url}/mcp`, theirs, task);
  const [first, second] = upstream.seen
    .slice(-2)
    .map(({ headers }) => headers.get("authorization"));
  expect(first).toStartWith("Bearer APP_USR-");
  expect(second).toStartWith("Bearer APP_USR-");
  expect(first).not.toBe(second!);
  const before = upstream.seen.length;
  const anybody = await fetch(`${world.url}/mcp`, { method: "POST", body: JSON.stringify(task) });
  expect(anybody.status).toBe(401);
  const other = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tasks/get",
    "mcp-name": "task-2",
  };
  const mismatch = await post(`${world.url}/mcp`, theirs, task, other);
  expect(mismatch.status).toBe(400);
  expect(upstream.seen).toHaveLength(before);
});

test("SH-7: a server's question to one person is not answered by another", async () => {
  await using spied = await openSpied(async (request) =>
    (await request.text()).includes("question-1")
      ? new Response(null, { status: 202 })
      : withSession(),
  );
  const { world, upstream } = spied;
  const url = `${world.url}/mcp`;
  const { mine, theirs, session } = await twoPeople(world.url);
  const before = upstream.seen.length;
  const reply = { jsonrpc: "2.0", id: "question-1", result: { action: "accept" } };
  const headers = { "mcp-session-id": session };
  for (const body of [
    reply,
    [reply],
    { ...reply, result: undefined, error: { code: 1, message: "x" } },
  ]) {
    expect((await post(url, theirs, body, headers)).status).toBe(404);
    expect((await post(url, theirs, body, { "mcp-session-id": sessionOf })).status).toBe(404);
  }
  expect(upstream.seen).toHaveLength(before);
  expect((await post(url, mine, reply, headers)).status).toBe(202);
});

test("CA-1: a list that the upstream calls public is kept nowhere and each caller gets their own", async () => {
  const listFor = (request: Request) => ({
    jsonrpc: "2.0",
    id: 1,
    result: {
      tools: [{ name: `tool-for-${request.headers.get("authorization")?.slice(-8)}` }],
      ttlMs: 3_600_000,
      cacheScope: "public",
    },
  });
  await using spied = await openSpied(
    (request) =>
      Response.json(listFor(request), {
        headers: { "cache-control": "public, max-age=3600", etag: '"1"', age: "5" },
      }),
    // Each account has tools of its own here.
    { rules: { tools: { pinning: "off" } } },
  );
  const { world, upstream } = spied;
  const bearers = [
    (await authorizedAgent(world.url)).tokens.access_token,
    (await authorizedAgent(world.url, { seller: "100200301" })).tokens.access_token,
  ];
  const lists: string[] = [];
  for (const bearer of [...bearers, ...bearers]) {
    const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    const answer = await post(`${world.url}/mcp`, bearer, list);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect([answer.headers.get("etag"), answer.headers.get("age")]).toEqual([null, null]);
    lists.push(await answer.text());
  }
  expect(upstream.seen).toHaveLength(4);
  expect(new Set(lists).size).toBe(2);
  expect(lists[0]).toBe(lists[2]);
  for (const [index, list] of lists.entries()) {
    const credential = upstream.seen[index]!.headers.get("authorization")!;
    expect(JSON.parse(list)).toMatchObject({
      result: {
        cacheScope: "public",
        ttlMs: 3_600_000,
        tools: [{ name: `tool-for-${credential.slice(-8)}` }],
      },
    });
  }
});

test("CA-1: a list that is filtered for one caller is private, and the next caller never sees it", async () => {
  const list = {
    tools: [{ name: "get_item", annotations: { readOnlyHint: true } }, { name: "drop" }],
    ttlMs: 1,
    cacheScope: "public",
  };
  await using spied = await openSpied(() => Response.json({ jsonrpc: "2.0", id: 1, result: list }));
  const { world } = spied;
  const narrow = await authorizedAgent(world.url, { answers: { only_reading: "yes" } });
  const wide = await authorizedAgent(world.url, { seller: "100200301" });
  const seen = async (bearer: string) => {
    const answer = await post(`${world.url}/mcp`, bearer, {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/list",
    });
    const { result } = (await answer.json()) as {
      result: { cacheScope: string; tools: { name: string }[] };
    };
    return [
      result.cacheScope,
      ...result.tools.map(({ name }) => name),
      answer.headers.get("cache-control"),
    ];
  };
  for (const _ of [1, 2]) {
    expect(await seen(narrow.tokens.access_token)).toEqual(["private", "get_item", "no-store"]);
    expect(await seen(wide.tokens.access_token)).toEqual([
      "public",
      "get_item",
      "drop",
      "no-store",
    ]);
  }
});
