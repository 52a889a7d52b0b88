import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { probeMethod, probeTicket } from "#src/proxy/probe.ts";
import { redact } from "#src/telemetry/redact.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

const wish = (act: string, id: string = randomUUID(), silentMs = 0) => ({
  jsonrpc: "2.0",
  id: 1,
  method: probeMethod,
  params: { act, id, silentMs },
});

test("a probe's bearer that was made with other keys, altered, or is older than five minutes opens nothing", async () => {
  await using world = await openWorld();
  const { app, url } = world;
  const good = probeTicket(app).reveal();
  const other = probeTicket({ ...app, bindingKey: new Uint8Array(32) }).reveal();
  const old = probeTicket({ ...app, now: () => new Date(Date.now() - 301_000) }).reveal();
  // Good for longer: the last letter of its end.
  const longer = `${good.slice(0, 15)}${good[15] === "z" ? "y" : "z"}${good.slice(16)}`;
  for (const bearer of [
    other,
    old,
    longer,
    `${good}x`,
    "sd_chk_",
    "sd_chk_a.b.c",
    good.slice(0, 40),
  ]) {
    expect((await post(`${url}/mcp`, bearer, wish("status"))).status).toBe(401);
  }
  expect((await post(`${url}/mcp`, good, wish("status"))).status).toBe(200);
  expect(redact(`a ${good} b`)).toBe("a [redacted] b");
});

test("a probe's bearer calls no tool and reaches no upstream", async () => {
  await using upstream = scriptedUpstream(() => Response.json({}));
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = probeTicket(world.app).reveal();
  for (const message of [toolCall("whoami"), { ...wish("status"), method: "tools/call" }]) {
    await (await post(`${world.url}/mcp`, bearer, message)).text();
  }
  const listen = { headers: { authorization: `Bearer ${bearer}` } };
  expect((await fetch(`${world.url}/mcp`, listen)).status).toBe(405);
  expect(upstream.seen).toEqual([]);
});

test("probes are few: the ninth stream is refused, and a wish has a size and a form", async () => {
  await using world = await openWorld();
  const bearer = probeTicket(world.app).reveal();
  const ask = (message: unknown) => post(`${world.url}/mcp`, bearer, message);
  const open = await Promise.all(
    Array.from({ length: 8 }, () => ask(wish("stream", randomUUID(), 90_000))),
  );
  expect(open.map(({ status }) => status)).toEqual(open.map(() => 200));
  expect((await ask(wish("stream"))).status).toBe(503);
  for (const answer of open) await answer.body?.cancel();
  let again = await ask(wish("stream"));
  // They are noticed within a moment.
  for (let turn = 0; again.status !== 200 && turn < 40; turn++) {
    await Bun.sleep(50);
    again = await ask(wish("stream"));
  }
  expect(again.status).toBe(200);
  await again.body?.cancel();
  expect((await ask(wish("stream", "x".repeat(65)))).status).toBe(400);
  expect((await ask(wish("delete"))).status).toBe(400);
  expect((await ask("x".repeat(5000))).status).toBe(413);
});
