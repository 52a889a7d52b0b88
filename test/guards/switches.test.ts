import { expect, spyOn, test } from "bun:test";
import { sql } from "drizzle-orm";
import { startBeside } from "#test/attacks/setup.ts";
import { runBeside } from "#test/cli/run.ts";
import { authorizedAgent, formIn } from "#test/support/agent-like.ts";
import { connectSeller, mintBearer, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";
import { createSwitches } from "#src/policy/switches.ts";
import { call, listed, openGuarded, reading, tool } from "./setup.ts";
import { allActed } from "#test/support/acknowledged.ts";
import { until } from "#test/support/until.ts";

const encoder = new TextEncoder();

/** `listen` is answered with a stream that stays open, everything else at once. */
async function answerOf(request: Request): Promise<Response> {
  const { id, params } = (await request.json()) as { id: number; params?: { name?: string } };
  if (params?.name !== "listen")
    return Response.json({ jsonrpc: "2.0", id, result: { content: [] } });
  const body = new ReadableStream({ start: (out) => out.enqueue(encoder.encode(": x\n\n")) });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

test("every kind of switch stops what it names on both gateways, cuts its streams, and nothing else", async () => {
  await using upstream = scriptedUpstream(answerOf);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  await using second = await secondGateway(world);
  const agent = await authorizedAgent(world.url);
  const mine = agent.tokens.access_token;
  const other = await newBearer({ url: world.url, seller: "100200301" });
  const [grant] = await world.app.db.execute<{ id: string }>("select id from grants");
  const urls = [`${world.url}/mcp`, `${second.url}/mcp/mercadolibre`];
  const cases = [
    ["all", "switched_off", true],
    ["provider:mercadolibre", "switched_off", true],
    ["account:mercadolibre:100200300", "switched_off", false],
    [`agent:${agent.clientId}`, "switched_off", false],
    [`grant:${grant!.id}`, "switched_off", false],
    ["tool:mercadolibre/listen", "switched_off", true],
  ] as const;
  for (const [subject, code, isForOthers] of cases) {
    const open = await post(urls[1]!, mine, toolCall("listen"));
    const cut = open.text();
    const off = await runBeside(world, ["switch", "off", subject, "--reason", "lunch", "--json"]);
    expect([subject, off.exit, off.json]).toMatchObject([
      subject,
      0,
      { state: "off", streamsCut: 1, gateways: 2 },
    ]);
    expect([subject, await cut]).toEqual([subject, expect.stringContaining("switched_off")]);
    for (const url of urls) {
      const refused = await call({ url, bearer: mine }, "listen");
      expect([subject, url, refused.status, refused.code]).toEqual([subject, url, 503, code]);
      expect(refused.text).toContain("lunch");
      const others = await post(url, other, toolCall("listen"));
      expect([subject, others.status]).toEqual([subject, isForOthers ? 503 : 200]);
      await others.body?.cancel();
      const isTool = subject.startsWith("tool:");
      expect((await call({ url, bearer: mine }, "other")).status).toBe(isTool ? 200 : 503);
    }
    const on = await runBeside(world, ["switch", "on", subject, "--json"]);
    expect(on.json).toMatchObject({ state: "on", wasOff: true, gateways: 2, gatewaysLive: 2 });
  }
  for (const wrong of [
    "nothing:x",
    "provider:nobody",
    "tool:mercadolibre",
    "grant:x",
    "account:nobody:1",
  ]) {
    const refused = await runBeside(world, ["switch", "off", wrong]);
    expect([wrong, refused.exit]).toEqual([wrong, 2]);
    expect(refused.stderr).toContain("hint");
  }
}, 90_000);

test("a tool that is switched off is not listed either", async () => {
  await using guarded = await openGuarded({ tools: [tool("a", reading), tool("b", reading)] });
  expect(await listed(guarded)).toEqual(["a", "b"]);
  await runBeside(guarded.world, ["switch", "off", "tool:mercadolibre/b"]);
  expect(await listed(guarded)).toEqual(["a"]);
});

test("what two gateways see of one loop counts together, and a person lets a stopped agent go on", async () => {
  await using guarded = await openGuarded({ tools: [tool("a", reading), tool("b", reading)] });
  const { world } = guarded;
  await using second = await startBeside(world, { PORT: "0", SMARTDASH_LOOPS: "on" });
  const person = newVisitor();
  await connectSeller(person, { url: world.url });
  const bearer = await mintBearer(person, world.url);
  const at = [guarded.url, `${second.url}/mcp/mercadolibre`].map((url) => ({ url, bearer }));
  await listed(at[0]!);
  const codes: (string | undefined)[] = [];
  for (let index = 0; index < 160 && codes.at(-1) !== "agent_stopped"; index += 1) {
    codes.push((await call(at[index % 2]!, "a")).code);
    await Bun.sleep(20);
    // It is told once a second at most; what comes evenly, once a second, would be polling.
    if (codes.at(-1) === undefined) continue;
    guarded.gateway.advance(350);
    second.advance(350);
  }
  const let_through = codes.filter((code) => code === undefined).length;
  // One alone lets 31 through; two that did not speak with each other would let 62.
  expect(let_through).toBeGreaterThan(29);
  expect(let_through).toBeLessThan(40);
  expect(codes.at(-1)).toBe("agent_stopped");
  const stored = () => world.app.db.execute(sql`select from switches`);
  await until(async () => (await stored()).length > 0, "the stop in the table");
  await allActed(world.app.db);
  for (const which of at) expect((await call(which, "b")).code).toBe("agent_stopped");
  const { evaluate } = await import("#src/operations/alerts/alerts.ts");
  expect((await evaluate(world.app)).map(({ kind }) => kind)).toContain("agent_stopped");

  const home = await (await person.get(`${world.url}/`)).text();
  expect(home).toContain("Stopped agents");
  const action = /action="(\/stopped\/session\/[0-9a-f-]+)"/.exec(home)?.[1] ?? "";
  const stranger = await authorizedAgent(world.url, { seller: "100200301" });
  const theirs = formIn(await (await stranger.visitor.get(`${world.url}/`)).text());
  const forged = await stranger.visitor.post(`${world.url}${action}`, {
    form_token: theirs["form_token"] ?? "",
  });
  expect(forged.status).toBe(404);
  const { form_token = "" } = formIn(home);
  expect((await person.post(`${world.url}${action}`, { form_token })).status).toBe(303);
  await allActed(world.app.db);
  for (const which of at) expect((await call(which, "b")).code).toBeUndefined();

  // What the operator has switched off is not the person's to switch on.
  const subject = action.replace("/stopped/", "").replace("/", ":");
  await runBeside(world, ["switch", "off", subject]);
  await person.post(`${world.url}${action}`, { form_token });
  await allActed(world.app.db);
  expect((await call(at[0]!, "b")).code).toBe("switched_off");
}, 60_000);

test("a gateway that cannot read what is switched off stops serving after a while", async () => {
  await using world = await openWorld();
  const switches = createSwitches(world.app);
  expect(() => switches.check([])).toThrow("database");
  await switches.load();
  expect(() => switches.check([])).not.toThrow();
  const later = performance.now() + 91_000;
  const clock = spyOn(performance, "now").mockReturnValue(later);
  expect(() => switches.check([])).toThrow("database");
  clock.mockRestore();
  switches.stop();
});
