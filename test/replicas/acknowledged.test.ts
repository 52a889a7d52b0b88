import { until } from "#test/support/until.ts";
import { expect, spyOn, test } from "bun:test";
import { sql } from "drizzle-orm";
import { databaseNow } from "#db/ping.ts";
import { acknowledgementsOf, heartbeat } from "#db/replicas.ts";
import { publish } from "#db/topics.ts";
import { untilAcknowledged } from "#src/bus.ts";
import { newId } from "#src/crypto/ids.ts";
import { runBeside } from "#test/cli/run.ts";
import { allActed } from "#test/support/acknowledged.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { openWorld } from "#test/support/world.ts";

const off = ["switch", "off", "mercadolibre", "--json"] as const;

test("a switch returns as soon as every gateway has acted upon it; one that hangs is waited for, and named, and it ends with 1", async () => {
  await using world = await openWorld();
  await using _ = await secondGateway(world);
  await allActed(world.app.db);
  const begun = performance.now();
  const done = await runBeside(world, off);
  const took = performance.now() - begun;
  expect([done.exit, done.json]).toMatchObject([0, { gateways: 2, gatewaysLive: 2 }]);
  // It was seen a moment ago, as one is that hangs.
  await heartbeat(world.app.db, newId(new Date()));
  const again = performance.now();
  const late = await runBeside(world, ["switch", "off", "mercadolibre"]);
  expect([late.exit, late.stdout]).toEqual([
    1,
    expect.stringContaining("Acknowledged by 2 of 3 gateways"),
  ]);
  expect(late.stderr).toContain("1 of 3 gateways did not answer within two seconds");
  expect(took).toBeLessThan(performance.now() - again);
});

test("one that has not been seen for three seconds is not waited for, and one that stops in order at once", async () => {
  await using world = await openWorld();
  const gone = newId(new Date());
  await heartbeat(world.app.db, gone);
  await world.app.db.execute(
    sql`update replicas set seen_at = seen_at - interval '3 s' where id = ${gone}`,
  );
  const second = await secondGateway(world);
  await allActed(world.app.db);
  await second[Symbol.asyncDispose]();
  const done = await runBeside(world, off);
  expect([done.exit, done.json]).toMatchObject([0, { gateways: 1, gatewaysLive: 1 }]);
});

test("what could not be acted upon is not acknowledged, comes again, and is acknowledged then", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  await using second = await secondGateway(world);
  const warned = spyOn(second.app.log, "lasting");
  const { db } = second.app;
  // The second gateway cannot read what is switched off, twice; everything else works.
  let failures = 0;
  const select = spyOn(db, "select").mockImplementation(() => {
    failures += 1;
    if (failures === 2) select.mockRestore();
    throw new Error("no");
  });
  const done = await runBeside(world, off);
  expect([done.exit, done.json]).toMatchObject([0, { gateways: 2, gatewaysLive: 2 }]);
  expect(warned.mock.calls.map(([event]) => event)).toContain("endings_not_followed");
  for (const { url } of [world, second]) {
    const refused = await post(`${url}/mcp/mercadolibre`, bearer, toolCall("x"));
    expect(refused.status).toBe(503);
  }
});

test("without a gateway the command says that it holds when one starts", async () => {
  await using world = await openWorld();
  await world.gateway.stop();
  const done = await runBeside(world, ["switch", "off", "mercadolibre"]);
  expect([done.exit, done.stdout]).toEqual([
    0,
    expect.stringContaining("Acknowledged by 0 of 0 gateways"),
  ]);
  expect(done.stderr).toContain("No gateway is running");
});

test("what only a newer version knows is not acknowledged, and costs nothing that is known", async () => {
  await using world = await openWorld();
  await until(async () => {
    const [row] = await world.app.db.execute(sql`select 1 from replicas`);
    return row;
  }, "the gateway is known to be running");
  await allActed(world.app.db);
  const since = await databaseNow(world.app.db);
  const newer = ["hologram:1", "grant"];
  for (const subject of newer) {
    await world.app.db.execute(sql`
      with told as (insert into endings (subject) values (${subject}) returning id, subject)
      select pg_notify('smartdash_endings', id || ' ' || subject) from told`);
  }
  const known = await untilAcknowledged(world.app, async () => {
    await publish(world.app.db, ["session:x"]);
    return ["session:x"];
  });
  expect(known).toMatchObject({ by: 1, of: 1 });
  for (const subject of newer) {
    const told = await acknowledgementsOf(world.app.db, [subject], since);
    expect(told).toMatchObject({ by: 0, of: 1 });
  }
});
