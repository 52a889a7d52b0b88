import { expect, spyOn, test } from "bun:test";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { evaluate, startAlerts } from "#src/operations/alerts/alerts.ts";
import { connectSeller, mintBearer, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { until } from "#test/support/until.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { type World, openWorld } from "#test/support/world.ts";

type Health = {
  readonly status: string;
  readonly checks: Readonly<Record<string, string>>;
  readonly tried: string;
  readonly lately: Readonly<Record<string, unknown>> | null;
};

async function healthOf(url: string, name = "mercadolibre") {
  const answer = await fetch(`${url}/api/mcp/${name}/health`);
  return { code: answer.status, ...((await answer.json()) as Health) };
}

/** Agents of two sellers. */
function twoAgents({ url }: World): Promise<readonly string[]> {
  return Promise.all([newBearer({ url }), newBearer({ url, seller: "100200301" })]);
}

/** Two agents of one account. */
async function twoOfOne({ url }: World): Promise<readonly string[]> {
  const visitor = newVisitor();
  await connectSeller(visitor, { url });
  return [await mintBearer(visitor, url), await mintBearer(visitor, url)];
}

async function callsIn({ app: { db } }: World): Promise<number> {
  const [row] = await db.execute<{ n: number }>(sql`select count(*)::int as n from calls`);
  return row?.n ?? 0;
}

/** Calls of each agent, when the database has them. */
async function called(world: World, agents: readonly string[], times: number): Promise<void> {
  const before = await callsIn(world);
  for (const agent of agents) {
    const all = Array.from({ length: times }, () =>
      post(`${world.url}/mcp`, agent, toolCall("whoami")).then((answer) => answer.text()),
    );
    await Promise.all(all);
  }
  await until(
    async () => (await callsIn(world)) >= before + agents.length * times,
    "the calls in the table",
  );
}

/** What is known of calls is five seconds old at most: another gateway has looked at nothing yet. */
async function healthElsewhere(world: World) {
  await using second = await secondGateway(world);
  return await healthOf(second.url);
}

const alertsIn = async (world: World) =>
  (await evaluate(world.app)).map(({ kind, subject }) => `${kind} ${subject}`).toSorted();

const outages = [
  {
    name: "hangs",
    answer: () => new Promise<Response>(() => undefined),
    code: "upstream_timeout",
    reason: "no head of an answer within the limit",
    alerts: ["upstream_failing mercadolibre", "upstream_timeout mercadolibre"],
  },
  {
    name: "answers what is no MCP",
    answer: () => new Response("x", { status: 302, headers: { location: "https://example.com/" } }),
    code: "upstream_redirected",
    reason: "to https://example.com/",
    alerts: ["upstream_failing mercadolibre", "upstream_unreachable mercadolibre"],
  },
  {
    name: "answers 500 by itself",
    answer: () => Response.json({ error: "down" }, { status: 500 }),
    code: "http_500",
    reason: undefined,
    alerts: ["upstream_failing mercadolibre"],
  },
  {
    name: "answers 401 to everybody",
    answer: () => new Response("no", { status: 401 }),
    code: "upstream_refuses_credential",
    reason: undefined,
    alerts: ["upstream_failing mercadolibre", "upstream_refuses_credential mercadolibre"],
  },
] as const;

for (const { name, answer, code, reason, alerts } of outages) {
  test(`an upstream that ${name}: health on any replica fails, the alert is told, and both end`, async () => {
    let isAway = true;
    await using upstream = scriptedUpstream(() =>
      isAway ? answer() : Response.json({ jsonrpc: "2.0", id: 1, result: {} }),
    );
    const limits = { UPSTREAM_FIRST_BYTE_TIMEOUT_MS: "300" };
    await using world = await openWorld({ environment: { ...pointedAt(upstream.url), ...limits } });
    const agents = await twoAgents(world);
    const said = spyOn(world.app.log, "redacted");
    await called(world, agents, 5);
    if (reason !== undefined) {
      // Lines of calls are made behind their answers.
      await until(() => said.mock.calls.length >= 10);
      expect(said).toHaveBeenCalledWith(
        "warn",
        "call",
        expect.stringContaining(`"reason":${JSON.stringify(reason)}`),
        expect.any(Number),
      );
    }
    expect(await healthElsewhere(world)).toMatchObject({
      code: 503,
      status: "fail",
      checks: { upstream: code },
      tried: "calls",
      lately: { calls: 10, failed: 10 },
    });
    expect((await fetch(`${world.url}/readyz`)).status).toBe(200);
    expect((await fetch(`${world.url}/livez`)).status).toBe(200);
    expect(await (await fetch(`${world.url}/health`)).json()).toMatchObject({ status: "warn" });
    expect(await alertsIn(world)).toEqual([...alerts]);
    isAway = false;
    await called(world, agents, 6);
    expect(await healthElsewhere(world)).toMatchObject({
      code: 200,
      checks: { upstream: "pass" },
      lately: { calls: 22, failed: 10 },
    });
    await world.app.db.execute(sql`update calls set at = at - interval '6 minutes'`);
    expect(await alertsIn(world)).toEqual([]);
  }, 30_000);
}

test("an upstream that resets: one call warns, and one account's dead credential does not", async () => {
  let status: 401 | undefined;
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket) => {
        if (status === undefined) socket.terminate();
        else socket.end("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
      },
    },
  });
  await using world = await openWorld({
    environment: pointedAt(`http://127.0.0.1:${server.port}/mcp`),
  });
  const agents = await twoOfOne(world);
  await called(world, agents.slice(0, 1), 1);
  const health = await healthElsewhere(world);
  expect(health).toMatchObject({ status: "warn", checks: { upstream: "upstream_broke_off" } });
  await world.app.db.execute(sql`update calls set at = at - interval '6 minutes'`);
  status = 401;
  await called(world, agents, 6);
  expect(await healthElsewhere(world)).toMatchObject({ code: 200, checks: { upstream: "pass" } });
  expect(await alertsIn(world)).toEqual([]);
  // What never left for the upstream says nothing about it.
  await world.app.db.execute(sql`delete from calls`);
  await world.app.db.execute(sql`
    insert into calls (id, at, request_id, upstream, http_method, status, duration_ms, failure)
    select gen_random_uuid(), now(), 'x', 'mercadolibre', 'POST', 500, 1, 'internal' from generate_series(1, 3)`);
  expect((await healthElsewhere(world)).lately).toMatchObject({ calls: 0, last_success: null });
  server.stop(true);
});

test("a provider whose token endpoint is away, and then closed: health warns, and says so of each", async () => {
  await using world = await openWorld();
  const [bearer = "", other = ""] = await twoOfOne(world);
  const { db } = world.app;
  expect((await healthElsewhere(world)).checks["provider"]).toBe("not_tried");
  const provider = world.sandbox.providers.get("mercadolibre")!;
  provider.grants.expireAccess();
  await (await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).text();
  expect((await healthElsewhere(world)).checks["provider"]).toBe("pass");
  for (let fault = 0; fault < 10; fault += 1) provider.faults.push({ kind: "status", status: 503 });
  provider.grants.expireAccess();
  await (await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).text();
  expect(await healthElsewhere(world)).toMatchObject({
    status: "warn",
    checks: { provider: "provider_busy" },
  });
  // Its upstream has refused the old token, which says nothing about the upstream.
  for (let time = 0; time < 3; time += 1) {
    await (await post(`${world.url}/mcp`, other, toolCall("whoami"))).text();
  }
  await until(async () => (await callsIn(world)) >= 5, "the calls in the table");
  expect((await healthElsewhere(world)).checks).toMatchObject({
    upstream: "pass",
    credential: "provider_busy",
  });
  expect(await alertsIn(world)).not.toContain("upstream_refuses_credential mercadolibre");
  await db.execute(sql`
    insert into provider_states (provider, closed_until) values ('mercadolibre', now() + interval '1 minute')
    on conflict (provider) do update set closed_until = excluded.closed_until`);
  expect(await alertsIn(world)).toContain("provider_closed mercadolibre");
});

test("a journal that cannot be written: health, log and alert say so, and that it can again", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const { log, config } = world.app;
  const [complained, told] = [spyOn(log, "error"), spyOn(log, "info")];
  const answers = join(config.journal, "answers");
  await rm(answers, { recursive: true });
  await Bun.write(answers, "no folder");
  const broken = { status: "warn", checks: { journal: "journal_unavailable" } };
  expect(await healthOf(world.url)).toMatchObject(broken);
  expect(await (await fetch(`${world.url}/health`)).json()).toMatchObject({ status: "warn" });
  expect(complained.mock.calls.map(([event]) => event)).toContain("journal_not_reserved");
  const journal = { look: () => Promise.resolve("journal_unavailable" as const) };
  // Each look at once.
  const watch = startAlerts({ ...world.app, journal, random: () => -1.49 });
  await until(async () => (await alertsIn(world)).length > 0, "the alert");
  await watch.stop();
  expect(await alertsIn(world)).toEqual(["journal_unavailable journal"]);
  await rm(answers);
  await mkdir(answers);
  world.sandbox.providers.get("mercadolibre")!.grants.expireAccess();
  expect(await (await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).text()).toContain(
    "TIENDA_DEMO",
  );
  expect(told.mock.calls.map(([event]) => event)).toContain("journal_available");
  expect((await healthOf(world.url)).checks["journal"]).toBe("pass");
});

test("a token that dies after an upstream has taken its successor again is renewed", async () => {
  let refusals = 2;
  await using upstream = scriptedUpstream(() => {
    refusals -= 1;
    return refusals >= 0
      ? new Response("no", { status: 401 })
      : Response.json({ jsonrpc: "2.0", id: 1, result: {} });
  });
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const call = async () => (await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).text();
  expect(await call()).toContain("reconnect_needed");
  expect(await call()).toContain('"result":{}');
  // It dies for real: within five minutes.
  refusals = 1;
  expect(await call()).toContain('"result":{}');
  expect(world.sandbox.providers.get("mercadolibre")!.asked.refresh_token).toBe(2);
});
