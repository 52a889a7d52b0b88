import { expect, test } from "bun:test";
import { startBeside } from "#test/attacks/setup.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { authorizedAgent, tokenRequest } from "#test/support/agent-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { freePort, startServe } from "#test/support/process.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";
import { call, listed, openGuarded, reading, text, tool, told, usualGuards } from "./setup.ts";
import { until } from "#test/support/until.ts";

const defaults = {
  SMARTDASH_LIMITS: undefined,
  SMARTDASH_LOOPS: "off",
  SMARTDASH_CALLS_AT_ONCE: "200",
};
const ask = (guarded: { url: string; bearer: string }, id: number) =>
  post(guarded.url, guarded.bearer, toolCall("x", { id }, id));

test("by default the 101st request within a minute is refused, exactly, and says when to come again", async () => {
  await using guarded = await openGuarded({}, defaults);
  const answers = await Promise.all(Array.from({ length: 130 }, (_, id) => ask(guarded, id)));
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(100);
  expect(statuses.filter((status) => status === 429)).toHaveLength(30);
  expect(guarded.reached()).toBe(100);
  const refused = answers.find(({ status }) => status === 429)!;
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(refused.headers.get("ratelimit-limit")).toBe("100");
  expect(refused.headers.get("ratelimit-remaining")).toBe("0");
  expect(refused.headers.get("ratelimit-policy")).toBe("100;w=60;burst=100");
  expect(await refused.json()).toMatchObject({
    jsonrpc: "2.0",
    id: expect.any(Number),
    error: {
      code: -32603,
      message: expect.stringMatching(/100 requests in 60 s for this agent\. Wait 1 s/),
      data: { code: "rate_limited", retryAfterSeconds: 1 },
    },
  });
  // Whoever waits is served again, one in 0.6 s, however long the answers take.
  const since = performance.now();
  await Bun.sleep(1300);
  expect([await ask(guarded, 500), await ask(guarded, 501)].map(({ status }) => status)).toEqual([
    200, 200,
  ]);
  let more = 2;
  while ((await ask(guarded, 502 + more)).status === 200) more += 1;
  expect(more).toBeLessThanOrEqual((performance.now() - since) / 600 + 1);
});

test("every answer says what is left", async () => {
  await using guarded = await openGuarded({}, { SMARTDASH_LIMITS: "agent=10/60s:5" });
  const left: unknown[] = [];
  for (let id = 0; id < 6; id += 1) {
    const { headers, status } = await ask(guarded, id);
    left.push([status, headers.get("ratelimit-remaining"), headers.get("ratelimit-reset")]);
  }
  expect(left).toEqual([
    [200, "4", "6"],
    [200, "3", "12"],
    [200, "2", "18"],
    [200, "1", "24"],
    [200, "0", "30"],
    [429, "0", "30"],
  ]);
});

test("limits of person, account, upstream, tool and address count everybody they are about", async () => {
  const rules = { tools: { limits: { slow: "2/60s" } } };
  for (const kind of ["person", "account", "upstream", "address"]) {
    await using guarded = await openGuarded({}, { SMARTDASH_LIMITS: `${kind}=3/60s` });
    const other = await newBearer({
      url: guarded.gateway.url,
      seller: kind === "person" || kind === "account" ? "100200300" : "100200301",
    });
    const codes: unknown[] = [];
    for (const bearer of [guarded.bearer, other, guarded.bearer, other]) {
      codes.push((await call({ ...guarded, bearer }, "x")).code);
    }
    expect([kind, codes]).toEqual([kind, [undefined, undefined, undefined, "rate_limited"]]);
  }
  await using guarded = await openGuarded({}, {}, rules);
  const codes = [];
  for (const name of ["slow", "slow", "quick", "slow", "quick"])
    codes.push((await call(guarded, name)).code);
  expect(codes).toEqual([undefined, undefined, undefined, "rate_limited", undefined]);
});

test("a batch counts as many as it holds", async () => {
  await using guarded = await openGuarded({}, { SMARTDASH_LIMITS: "agent=5/60s" });
  const batch = [1, 2, 3, 4].map((id) => toolCall("x", { id }, id));
  expect((await post(guarded.url, guarded.bearer, batch)).headers.get("ratelimit-remaining")).toBe(
    "1",
  );
  expect((await ask(guarded, 9)).status).toBe(200);
  expect((await ask(guarded, 10)).status).toBe(429);
});

test("two processes under load keep one limit together; without a database each keeps it alone", async () => {
  await using upstream = scriptedUpstream(() =>
    Response.json({ jsonrpc: "2.0", id: 1, result: {} }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const environment = {
    ...world.environment,
    PUBLIC_URL: world.url,
    SMARTDASH_LIMITS: "agent=200/10s",
    LOG_LEVEL: "error",
  };
  const ports = [await freePort(), await freePort()];
  await using first = await startServe(environment, { port: ports[0]! });
  await using second = await startServe(environment, { port: ports[1]! });
  expect(first.pid).not.toBe(second.pid);
  const urls = ports.map((port) => `http://127.0.0.1:${port}/mcp/mercadolibre`);
  const seconds = 4;
  const started = performance.now();
  let allowed = 0;
  const isOver = () => performance.now() - started > seconds * 1000;
  // One of them is asked three times as much as the other.
  const lanes = [0, 0, 0, 1].flatMap((which) => [which, which, which, which]);
  await Promise.all(
    lanes.map(async (which) => {
      while (!isOver()) {
        const { status } = await post(urls[which]!, bearer, toolCall("x"));
        if (status === 200) allowed += 1;
        else await Bun.sleep(5);
      }
    }),
  );
  const due = 200 + (200 * (performance.now() - started)) / 10_000;
  const error = (100 * (allowed - due)) / due;
  console.log(
    `two processes, 16 lanes, ${seconds} s: ${allowed} calls allowed, ${due.toFixed(0)} due, error ${error.toFixed(1)} %`,
  );
  expect(Math.abs(error)).toBeLessThan(10);
}, 30_000);

test("a limit goes on counting while the tallies cannot be shared", async () => {
  await using guarded = await openGuarded({}, { SMARTDASH_LIMITS: "agent=20/60s" });
  await guarded.world.app.db.execute("alter table tallies rename to hidden");
  const started = performance.now();
  const answers = await Promise.all(Array.from({ length: 30 }, (_, id) => ask(guarded, id)));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
  expect(performance.now() - started).toBeLessThan(1500);
});

test("what was counted survives a restart", async () => {
  await using guarded = await openGuarded({}, { SMARTDASH_LIMITS: "agent=20/600s" });
  for (let id = 0; id < 20; id += 1) await ask(guarded, id);
  await guarded.gateway[Symbol.asyncDispose]();
  const { startBeside } = await import("#test/attacks/setup.ts");
  await using again = await startBeside(guarded.world, {
    PORT: "0",
    SMARTDASH_LIMITS: "agent=20/600s",
  });
  const bearer = guarded.bearer;
  const url = `${again.url}/mcp/mercadolibre`;
  const codes = [];
  for (let id = 0; id < 4; id += 1) codes.push((await ask({ url, bearer }, id)).status);
  // It does not know before it has told the database of its first.
  expect(codes.at(-1)).toBe(429);
});

test("a budget is counted to its end, warns at 80 %, and shows on the page, in the token and in the command", async () => {
  await using world = await openWorld({
    environment: { SMARTDASH_BUDGETS: "agent=10/day,account=100/month" },
  });
  const agent = await authorizedAgent(world.url);
  const bearer = agent.tokens.access_token;
  const url = `${world.url}/mcp`;
  for (let id = 0; id < 8; id += 1)
    expect((await call({ url, bearer }, "whoami")).code).toBeUndefined();
  // Lists cost nothing.
  expect(await listed({ url, bearer })).toContain("whoami");
  const { evaluate } = await import("#src/operations/alerts/alerts.ts");
  const found = await until(async () => {
    const alerts = await evaluate(world.app);
    return alerts.some(({ kind }) => kind === "budget_low") ? alerts : undefined;
  }, "the alert");
  expect(found.filter(({ kind }) => kind === "budget_low")).toEqual([
    {
      kind: "budget_low",
      subject: expect.stringMatching(/^grant:/),
      summary: expect.stringContaining("80 %"),
    },
  ]);
  const health = (await (await fetch(`${world.url}/health`)).json()) as { checks: object };
  expect(health.checks).toMatchObject({ "guards:budget_low": "budget_low" });
  const page = await (await agent.visitor.get(`${world.url}/`)).text();
  expect(page.replaceAll(/\s+/g, " ")).toMatch(/8 (of|de) 10/);
  const { runBeside } = await import("#test/cli/run.ts");
  const shown = await runBeside(world, ["budgets", "--json"]);
  expect(shown.json["budgets"]).toMatchObject([
    { of: "agent", period: "day", used: 8, limit: 10, share: 80 },
    { of: "account", period: "month", used: 8, limit: 100, share: 8 },
  ]);
  const codes = [];
  for (let id = 0; id < 3; id += 1) codes.push((await call({ url, bearer }, "whoami")).code);
  expect(codes).toEqual([undefined, undefined, "budget_spent"]);
  const renewed = await tokenRequest(world.url, {
    grant_type: "refresh_token",
    refresh_token: agent.tokens.refresh_token,
    client_id: agent.clientId,
  });
  expect(await renewed.json()).toMatchObject({
    budgets: [
      { of: "agent", period: "day", limit: 10, used: 10 },
      { of: "account", period: "month", limit: 100, used: 10 },
    ],
  });
});

test("two gateways keep one budget together, to within a twentieth for each", async () => {
  const environment = { SMARTDASH_BUDGETS: "agent=60/day" };
  await using guarded = await openGuarded({}, environment);
  await using second = await startBeside(guarded.world, {
    PORT: "0",
    ...usualGuards,
    SMARTDASH_LOOPS: "off",
    ...environment,
  });
  const places = [guarded.url, `${second.url}/mcp/mercadolibre`];
  let allowed = 0;
  for (let id = 0; id < 100; id += 1) {
    const at = { url: places[id % 2] ?? "", bearer: guarded.bearer };
    if ((await call(at, "x", { id })).code === undefined) allowed += 1;
  }
  expect(allowed).toBeGreaterThanOrEqual(60);
  expect(allowed).toBeLessThanOrEqual(63);
});

test("calls wait for the provider's pace, and keep away from it after its 429", async () => {
  const base = (id: string) => ({ baseId: id });
  await using guarded = await openGuarded(
    { tools: [tool("list_records", reading)] },
    {},
    { credential: { provider: "airtable" } },
  );
  const visitor = await import("#test/support/browser-like.ts");
  const person = visitor.newVisitor();
  await visitor.connectSeller(person, { url: guarded.gateway.url, provider: "airtable" });
  const bearer = await visitor.mintBearer(person, guarded.gateway.url);
  const at = { url: guarded.url, bearer };
  const started = performance.now();
  const seven = await Promise.all(
    Array.from({ length: 7 }, () => call(at, "list_records", base("appA"))),
  );
  expect(seven.map(({ status }) => status)).toEqual(Array(7).fill(200));
  // One in 200 ms: never more than five within a second.
  expect(performance.now() - started).toBeGreaterThan(1100);
  const order: string[] = [];
  const listed = async (id: string) => {
    expect((await call(at, "list_records", base(id))).status).toBe(200);
    order.push(id);
  };
  const waiting = Array.from({ length: 5 }, () => listed("appA"));
  await listed("appB");
  await Promise.all(waiting);
  expect(order.indexOf("appB")).toBeLessThan(3);

  guarded.offer.call = () => text('{"errors":[{"error":"RATE_LIMIT_REACHED"}]}', true);
  expect((await call(at, "list_records", base("appB"))).code).toBeUndefined();
  guarded.offer.call = () => text("fine");
  const before = guarded.reached();
  const kept = await call(at, "list_records", base("appB"));
  expect([kept.status, kept.code]).toEqual([429, "provider_pace"]);
  expect(Number(kept.headers.get("retry-after"))).toBeGreaterThan(25);
  expect(guarded.reached()).toBe(before);
  expect((await call(at, "list_records", base("appC"))).code).toBe("provider_pace");
  guarded.gateway.advance(31_000);
  expect((await call(at, "list_records", base("appB"))).status).toBe(200);
});

test("streams of one agent are bounded, and others have their own", async () => {
  await using upstream = scriptedUpstream(
    () =>
      new Response(
        new ReadableStream({ start: (out) => out.enqueue(new TextEncoder().encode(": x\n\n")) }),
        {
          headers: { "content-type": "text/event-stream" },
        },
      ),
  );
  await using world = await openWorld({
    environment: { ...pointedAt(upstream.url), SMARTDASH_STREAMS_AT_ONCE: "5" },
  });
  const [one, two] = [
    await newBearer({ url: world.url }),
    await newBearer({ url: world.url, seller: "100200301" }),
  ];
  const open = (bearer: string) =>
    fetch(`${world.url}/mcp`, {
      headers: { authorization: `Bearer ${bearer}`, accept: "text/event-stream" },
    });
  const streams = [];
  for (let count = 0; count < 5; count += 1) streams.push(await open(one));
  const refused = await told(await open(one));
  expect([refused.status, refused.code]).toEqual([429, "too_many_at_once"]);
  const others = await open(two);
  expect(others.status).toBe(200);
  await streams[0]!.body?.cancel();
  const next = await until(async () => {
    const stream = await open(one);
    if (stream.status === 200) return stream;
    await stream.body?.cancel();
    return undefined;
  }, "the place of a stream that was left");
  for (const { body } of [...streams.slice(1), others, next]) await body?.cancel();
  // Those that are asked for at the same time do not know of each other.
  await until(() => isQuiet(open, one), "the places of all of them");
  const at = await Promise.all(Array.from({ length: 20 }, () => open(one)));
  const opened = at.filter(({ status }) => status === 200);
  expect(opened).toHaveLength(5);
  expect(at.filter(({ status }) => status === 429)).toHaveLength(15);
  for (const { body } of at) await body?.cancel();
});

/** Whether another stream may be opened, five times in a row. */
async function isQuiet(open: (bearer: string) => Promise<Response>, bearer: string) {
  const some = [];
  for (let count = 0; count < 5; count += 1) some.push(await open(bearer));
  for (const { body } of some) await body?.cancel();
  return some.every(({ status }) => status === 200) ? true : undefined;
}

test("bodies that do not come are calls under way, and a complete one beyond them is told so", async () => {
  await using upstream = scriptedUpstream(() =>
    Response.json({ jsonrpc: "2.0", id: 1, result: {} }),
  );
  await using world = await openWorld({
    environment: { ...pointedAt(upstream.url), SMARTDASH_CALLS_AT_ONCE: "3" },
  });
  const [one, two] = [
    await newBearer({ url: world.url }),
    await newBearer({ url: world.url, seller: "100200301" }),
  ];
  const { host, hostname, port } = new URL(world.url);
  const head = `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${one}\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n\r\n{`;
  const told = Promise.withResolvers<string>();
  const half = async () =>
    await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        open: (socket) => void socket.write(head),
        data: (_, bytes) => told.resolve(bytes.toString()),
      },
    });
  const waiting = [await half(), await half(), await half(), await half()];
  expect(await told.promise).toMatch(/^HTTP\/1.1 429 [^]*too_many_at_once/);
  expect((await post(`${world.url}/mcp`, one, toolCall("x"))).status).toBe(429);
  expect((await post(`${world.url}/mcp`, two, toolCall("x"))).status).toBe(200);
  for (const socket of waiting) socket.terminate();
  await until(async () => {
    const { status } = await post(`${world.url}/mcp`, one, toolCall("x"));
    return status === 200 ? true : undefined;
  }, "the places of bodies whose clients have gone");
});

const dayMs = 86_400_000;

test("a batch that is more than what is left is refused whole, and nothing of it is sent or counted", async () => {
  const environment = { SMARTDASH_LIMITS: "agent=10/60s", SMARTDASH_BUDGETS: "agent=12/day" };
  await using guarded = await openGuarded({}, environment);
  // Budgets are of a day of UTC: it must not end meanwhile.
  if (dayMs - (Date.now() % dayMs) < 120_000) guarded.gateway.advance(-300_000);
  const batch = (count: number) =>
    Array.from({ length: count }, (_, id) => toolCall("x", { id }, id));
  const send = async (count: number) =>
    (await told(await post(guarded.url, guarded.bearer, batch(count)))).code;
  expect(await send(11)).toBe("rate_limited");
  expect(guarded.upstream.seen).toHaveLength(0);
  expect(await send(8)).toBeUndefined();
  expect(await send(3)).toBe("rate_limited");
  expect(await send(2)).toBeUndefined();
  // What is still being shared would be of the minute before.
  await until(async () => {
    const rows = await guarded.world.app.db.execute<{ level: number }>(
      "select level from tallies where key like 'budget:%'",
    );
    return rows.some(({ level }) => level === 10);
  }, "everything is shared");
  guarded.gateway.advance(60_000);
  expect(await send(3)).toBe("budget_spent");
  expect((await post(guarded.url, guarded.bearer, batch(51))).status).toBe(400);
  expect(guarded.upstream.seen).toHaveLength(2);
});

test("names that a database does not take stop nobody's counting", async () => {
  await using guarded = await openGuarded({}, { SMARTDASH_LIMITS: "tool=50/60s,agent=50/60s" });
  for (const name of ["a\u0000b", "\ud800", "\u0000"]) await call(guarded, name);
  for (let id = 0; id < 5; id += 1) await ask(guarded, id);
  await until(async () => {
    const rows = await guarded.world.app.db.execute<{ key: string }>("select key from tallies");
    return rows.some(({ key }) => key === "limit:tool:mercadolibre/x");
  }, "the database knows what was counted");
});

test("a limit of tools that are named by what they do counts them", async () => {
  const tools = [tool("a", reading), tool("b", { readOnlyHint: false })];
  await using guarded = await openGuarded(
    { tools },
    {},
    { tools: { limits: { "@read-only": "1/60s" } } },
  );
  await listed(guarded);
  const codes = [];
  for (const name of ["a", "b", "a", "b"]) codes.push((await call(guarded, name)).code);
  expect(codes).toEqual([undefined, undefined, "rate_limited", undefined]);
});
