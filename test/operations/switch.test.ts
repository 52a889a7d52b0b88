import { expect, test } from "bun:test";
import { runBeside } from "#test/cli/run.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { effectUnknown, post, toolCall } from "#test/support/mcp.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

function listening(): Response {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("data: {}\n\n")),
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

test("an upstream that is switched off is off on every gateway, with its streams, also after a restart", async () => {
  await using upstream = scriptedUpstream(listening);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  await using second = await secondGateway(world);
  const bearer = await newBearer({ url: world.url });
  const streams = await Promise.all(
    [world.url, second.url].map((url) => post(`${url}/mcp/mercadolibre`, bearer, toolCall("x"))),
  );
  const texts = streams.map((answer) => answer.text());

  const off = await runBeside(world, [
    "switch",
    "off",
    "mercadolibre",
    "--reason",
    "lunch",
    "--json",
  ]);
  expect<Record<string, unknown>>({ exit: off.exit, ...off.json }).toEqual({
    exit: 0,
    subject: "upstream:mercadolibre",
    state: "off",
    isKnown: true,
    streamsCut: 2,
    gateways: 2,
    gatewaysLive: 2,
  });
  for (const text of await Promise.all(texts)) expect(text).toContain("upstream_switched_off");
  await using third = await secondGateway(world);
  for (const url of [world.url, second.url, third.url]) {
    const refused = await post(`${url}/mcp/mercadolibre`, bearer, toolCall("whoami"));
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "60"]);
    expect(await refused.text()).toContain("lunch");
  }
  const health = await fetch(`${world.url}/health`);
  expect([health.status, await health.json()]).toMatchObject([
    200,
    { status: "warn", checks: { "upstream:mercadolibre": "upstream_switched_off" } },
  ]);
  const own = await fetch(`${world.url}/api/mcp/mercadolibre/health`);
  expect([own.status, await own.json()]).toMatchObject([
    200,
    { status: "warn", checks: { upstream: "upstream_switched_off" } },
  ]);
  // Another upstream goes on.
  const other = await post(`${world.url}/mcp/airtable`, bearer, toolCall("x"));
  expect(other.status).toBe(403);
  const listed = await runBeside(world, ["switch", "list", "--json"]);
  expect(listed.json["off"]).toMatchObject([{ subject: "upstream:mercadolibre", reason: "lunch" }]);

  const on = await runBeside(world, ["switch", "on", "mercadolibre", "--json"]);
  expect(on.json).toEqual({
    subject: "upstream:mercadolibre",
    state: "on",
    wasOff: true,
    isAllOff: false,
    gateways: 3,
    gatewaysLive: 3,
    streamsCut: 0,
  });
  for (const url of [world.url, second.url, third.url]) {
    const answered = await post(`${url}/mcp/mercadolibre`, bearer, toolCall("whoami"));
    expect(answered.status).toBe(200);
    await answered.body?.cancel();
  }
});

test("a name that is not an upstream is refused with those there are", async () => {
  await using world = await openWorld();
  const refused = await runBeside(world, ["switch", "off", "nowhere"]);
  expect(refused.exit).toBe(2);
  expect(refused.stderr).toContain("Known: mercadolibre");
});

test("health warns of an upstream whose last call failed, until one is answered", async () => {
  let isDown = true;
  await using upstream = scriptedUpstream(() =>
    isDown ? Response.redirect("http://127.0.0.1:1/") : Response.json({ jsonrpc: "2.0", id: 1 }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const health = async () => (await fetch(`${world.url}/health`)).json();
  expect(await health()).toMatchObject({ status: "pass" });
  const lost = await post(`${world.url}/mcp`, bearer, toolCall("x"));
  expect(await lost.json()).toMatchObject(effectUnknown("upstream_redirected"));
  expect(await health()).toMatchObject({
    status: "warn",
    checks: { "upstream:mercadolibre": "upstream_redirected" },
  });
  isDown = false;
  expect((await post(`${world.url}/mcp`, bearer, toolCall("x"))).status).toBe(200);
  expect(await health()).toMatchObject({ status: "pass" });
});
