import { expect, test } from "bun:test";
import { join } from "node:path";
import { binary, newFolder, start } from "#test/cli/program.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { testDatabase } from "#test/support/database.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { freePort, serving } from "#test/support/process.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { encryptionKey, openWorld } from "#test/support/world.ts";

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const traceId = parent.slice(3, 35);

test("a request's id is the client's, else its trace id, else ours; a credential that strayed there is not taken", async () => {
  await using world = await openWorld();
  const idFor = async (headers: Record<string, string>) =>
    (await fetch(`${world.url}/mcp`, { headers })).headers.get("x-request-id");
  expect(await idFor({ "x-request-id": "order-17.a" })).toBe("order-17.a");
  expect(await idFor({ traceparent: parent })).toBe(traceId);
  expect(await idFor({ "x-request-id": "order-17", traceparent: parent })).toBe("order-17");
  const own = await idFor({});
  expect(own).toMatch(/^[\w-]{8}-\w+$/);
  const refused = [
    "APP_USR-123456789-secret",
    "a b",
    "x".repeat(65),
    "sd_ses_abcdefghijklmnopqrstuvwxyz",
  ];
  for (const id of refused) expect(await idFor({ "x-request-id": id })).toMatch(/^[\w-]{8}-\w+$/);
  expect(await idFor({ traceparent: `00-${"0".repeat(32)}-b7ad6b7169203331-01` })).not.toMatch(
    /^0+$/,
  );
});

test("trace context reaches the upstream as the client sent it; from _meta alone it becomes a header too", async () => {
  await using upstream = scriptedUpstream(() =>
    Response.json({ jsonrpc: "2.0", id: 1, result: {} }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const call = toolCall("x");
  const plain = { ...call, params: { ...call.params, _meta: { traceparent: parent } } };
  await post(`${world.url}/mcp`, bearer, call, { traceparent: parent, tracestate: "a=1" });
  await post(`${world.url}/mcp`, bearer, plain);
  await post(`${world.url}/mcp`, bearer, {
    ...call,
    params: { ...call.params, _meta: { traceparent: "x" } },
  });
  const [first, second, third] = upstream.seen;
  expect(first?.headers.get("traceparent")).toBe(parent);
  expect(first?.headers.get("tracestate")).toBe("a=1");
  expect(second?.headers.get("traceparent")).toBe(parent);
  expect(JSON.parse(second?.body ?? "")).toEqual(plain);
  expect(third?.headers.get("traceparent")).toBeNull();
});

test("metrics need their bearer, count calls and refreshes, and name nobody", async () => {
  const token = "metrics-token-of-16-or-more";
  await using world = await openWorld({
    environment: { METRICS_TOKEN: token, SMARTDASH_LIMITS: "tool=1/60s" },
  });
  const bearer = await newBearer({ url: world.url });
  world.sandbox.providers.get("mercadolibre")?.grants.expireAccess();
  await (await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).text();
  await (await post(`${world.url}/mcp`, bearer, toolCall("whoami", {}, 7))).text();
  await post(`${world.url}/mcp`, bearer, { jsonrpc: "2.0", id: 2, method: `strange/${bearer}` });
  const status = async (headers: Record<string, string>) =>
    (await fetch(`${world.url}/metrics`, { headers })).status;
  expect(await status({})).toBe(401);
  expect(await status({ authorization: "Bearer wrong" })).toBe(401);
  const answer = await fetch(`${world.url}/metrics`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  const text = await answer.text();
  expect(text).toContain(
    'smartdash_mcp_requests_total{upstream="mercadolibre",method="tools/call",status="200"} 1',
  );
  expect(text).toContain(
    'smartdash_guard_refusals_total{upstream="mercadolibre",code="rate_limited"} 1',
  );
  expect(text).toContain('smartdash_mcp_requests_total{upstream="mercadolibre",method="other"');
  expect(text).toContain(
    'smartdash_oauth_refresh_total{provider="mercadolibre",outcome="success"} 1',
  );
  expect(text).toContain('smartdash_accounts{provider="mercadolibre",state="active"} 1');
  expect(text).toContain('smartdash_events_total{level="info",event="refresh_success"} 1');
  expect(text).not.toMatch(/100200300|TIENDA_DEMO|sd_ses_|APP_USR|TG-/);
  await using without = await openWorld();
  expect((await fetch(`${without.url}/metrics`)).status).toBe(404);
});

test("what a guard tells a model as the result of a tool counts as its refusal", async () => {
  const token = "metrics-token-of-16-or-more";
  await using world = await openWorld({
    environment: { METRICS_TOKEN: token, SMARTDASH_LOOPS: "on" },
  });
  const bearer = await newBearer({ url: world.url });
  let answer: Response | undefined;
  for (let id = 0; id < 32; id += 1) {
    answer = await post(`${world.url}/mcp`, bearer, toolCall("whoami", {}, id));
    if ((await answer.clone().text()).includes("loop_noticed")) break;
  }
  expect(answer?.status).toBe(200);
  const headers = { authorization: `Bearer ${token}` };
  expect(await (await fetch(`${world.url}/metrics`, { headers })).text()).toContain(
    'smartdash_guard_refusals_total{upstream="mercadolibre",code="loop_noticed"} 1',
  );
});

test("METRICS_PORT serves metrics on loopback, and nothing else", async () => {
  const port = String(await freePort());
  await using world = await openWorld({ environment: { METRICS_PORT: port } });
  expect(world.url).not.toContain(port);
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(text).toContain("smartdash_build_info{");
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  expect((await fetch(`${world.url}/metrics`)).status).toBe(404);
});

test("the compiled binary sends spans over OTLP, without contents, and is the upstream's parent", async () => {
  const bodies: string[] = [];
  const collector = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      bodies.push(
        `${new URL(request.url).pathname} ${request.headers.get("x-team")} ${await request.text()}`,
      );
      return Response.json({});
    },
  });
  await using upstream = scriptedUpstream(() =>
    Response.json({ jsonrpc: "2.0", id: 1, result: { secret: "contents" } }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const environment = {
    ...world.environment,
    PUBLIC_URL: world.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`,
    OTEL_EXPORTER_OTLP_HEADERS: "x-team=payments",
  };
  await using folder = await newFolder();
  await using gateway = start([binary(), "serve"], {
    cwd: folder.path,
    environment: { ...environment, SMARTDASH_HOME: join(folder.path, "home") },
  });
  await gateway.says(serving);
  const [, port = ""] = await gateway.says(/"port":(\d+)/);
  await post(`http://127.0.0.1:${port}/mcp`, bearer, toolCall("x"), { traceparent: parent });
  const sent = upstream.seen[0]?.headers.get("traceparent") ?? "";
  expect(sent.slice(3, 35)).toBe(traceId);
  expect(sent).not.toBe(parent);
  await gateway.end("SIGTERM");
  const all = bodies.join("\n");
  expect(all).toStartWith("/v1/traces payments");
  expect(all).toContain(sent.slice(36, 52));
  expect(all).toContain("tools/call");
  expect(all).not.toContain("contents");
  expect(all).not.toContain(bearer);
  await collector.stop(true);
});

test("on a pipe the log is JSON lines with time, level and event; nothing else is on stdout", async () => {
  await using folder = await newFolder();
  await using database = await testDatabase();
  const environment = { DATABASE_URL: database.url, ENCRYPTION_KEY: encryptionKey, PORT: "0" };
  await using gateway = start([binary(), "serve"], { cwd: folder.path, environment });
  await gateway.says(serving);
  const { stdout, stderr } = await gateway.end("SIGTERM");
  expect(stderr).toBe("");
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const line of lines) {
    expect(Object.keys(line).slice(0, 3)).toEqual(["time", "level", "event"]);
  }
  expect(lines.map(({ event }) => event)).toContain("stopping");
});
