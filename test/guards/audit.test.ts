import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { authorizedAgent } from "#test/support/agent-like.ts";
import { runBeside } from "#test/cli/run.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { call } from "./setup.ts";
import { newId } from "#src/crypto/ids.ts";
import { chainWith } from "#src/proxy/record.ts";
import { saveCalls } from "#src/proxy/call-store.ts";
import { encodedRows } from "#test/support/call-rows.ts";

async function withCalls(world: World) {
  const agent = await authorizedAgent(world.url);
  const at = { url: `${world.url}/mcp`, bearer: agent.tokens.access_token };
  await call(at, "echo", { text: "a secret text" });
  await call(at, "echo", { text: "a secret text" });
  await call(at, "close_listing", { item_id: "MLA1" });
  await call(at, "whoami");
  return { agent, at };
}

/** Written within half a second. */
async function stored(world: World, count: number): Promise<void> {
  for (let round = 0; round < 50; round += 1) {
    const [row] = await world.app.db.execute<{ count: number }>(
      "select count(*)::int as count from calls",
    );
    if ((row?.count ?? 0) >= count) return;
    await Bun.sleep(100);
  }
  throw new Error("the calls were not stored");
}

const today = () => new Date().toISOString().slice(0, 10);

test("the trail says who called what, with a hash of the arguments and what a guard said, and no contents", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_LIMITS: "agent=5/600s" } });
  const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const { agent, at } = await withCalls(world);
  const { post } = await import("#test/support/mcp.ts");
  await post(at.url, at.bearer, list);
  await call(at, "whoami");
  await stored(world, 6);
  const shown = await runBeside(world, ["calls", "list", "--json"]);
  const rows = shown.json["calls"] as Record<string, unknown>[];
  expect(rows[0]).toMatchObject({
    name: "whoami",
    status: 429,
    guard: "rate_limited",
    clientId: agent.clientId,
  });
  const [first, second] = rows.filter(({ name }) => name === "echo");
  expect(first!["argumentsHash"]).toMatch(/^[\w-]{43}$/);
  expect(first!["argumentsHash"]).toBe(second!["argumentsHash"]);
  expect(shown.stdout).not.toContain("a secret text");
  const guarded = await runBeside(world, ["calls", "list", "--guarded", "--json"]);
  expect((guarded.json["calls"] as object[]).length).toBe(1);
  const some = await runBeside(world, [
    "calls",
    "list",
    "--tool",
    "ec*",
    "--agent",
    agent.clientId,
    "--limit",
    "1",
    "--json",
  ]);
  expect(some.json["calls"]).toMatchObject([{ name: "echo" }]);
  expect((await runBeside(world, ["calls", "list", "--since", "tomorrow"])).exit).toBe(2);
  expect((await runBeside(world, ["calls", "list", "--upstream", "airtable"])).exit).toBe(0);
  const unknown = await runBeside(world, ["calls", "list", "--upstream", "airtabel"]);
  expect(unknown.exit).toBe(2);
  expect(unknown.stderr).toContain("airtable");
});

test("what is changed, added or removed in the trail is noticed, also with the key of the database alone", async () => {
  await using world = await openWorld();
  await using second = await secondGateway(world);
  const { at } = await withCalls(world);
  for (let round = 0; round < 3; round += 1) {
    await call(at, "whoami");
    await call({ ...at, url: `${second.url}/mcp` }, "whoami");
    // Each round is a batch of its own.
    await stored(world, 4 + 2 * (round + 1));
  }
  await stored(world, 10);
  const verify = async () => {
    const { exit, json } = await runBeside(world, ["calls", "verify", "--day", today(), "--json"]);
    const { broken, changed, missing } = json;
    return { exit, broken, changed, missing };
  };
  const { db } = world.app;
  const clean = { exit: 0, broken: 0, changed: 0, missing: 0 };
  expect(await verify()).toEqual(clean);
  const one = sql`(select id from calls order by id limit 1 offset 2)`;
  const [saved] = await db.execute<{ status: number }>(
    sql`select status from calls where id = ${one}`,
  );
  await db.execute(sql`update calls set status = 500 where id = ${one}`);
  expect(await verify()).toEqual({ exit: 1, broken: 0, changed: 1, missing: 1 });
  await db.execute(sql`update calls set status = ${saved!.status} where id = ${one}`);
  expect(await verify()).toEqual(clean);

  await db.execute(sql`create table kept as select * from calls where id = ${one}`);
  await db.execute(sql`delete from calls where id in (select id from kept)`);
  expect(await verify()).toEqual({ exit: 1, broken: 0, changed: 0, missing: 1 });
  await db.execute(sql`insert into calls select * from kept`);
  await db.execute(sql`
    insert into calls (id, at, request_id, upstream, http_method, status, duration_ms)
    values (gen_random_uuid(), now(), 'x', 'mercadolibre', 'POST', 200, 1)`);
  expect(await verify()).toEqual({ exit: 1, broken: 0, changed: 1, missing: 0 });
  await db.execute(sql`delete from calls where request_id = 'x'`);

  // A batch and its rows taken out together.
  await db.execute(sql`create table batch as select * from call_batches where seq = 2`);
  await db.execute(sql`delete from call_batches where seq = 2`);
  expect(await verify()).toMatchObject({ exit: 1, broken: 1 });
  await db.execute(sql`insert into call_batches select * from batch`);
  await db.execute(sql`update call_batches set digests = digests || sha256('more')  where seq = 2`);
  expect(await verify()).toMatchObject({ exit: 1, broken: 1, missing: 1 });
  await db.execute(
    sql`update call_batches set digests = (select digests from batch) where seq = 2`,
  );
  expect(await verify()).toEqual(clean);
  for (const day of ["yesterday", "2020-01-01"]) {
    expect((await runBeside(world, ["calls", "verify", "--day", day])).exit).toBe(2);
  }

  // As if it had been written yesterday, and today gone on with.
  const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
  await db.execute(sql`create table all_calls as select * from calls`);
  await db.execute(sql`create table all_batches as select * from call_batches`);
  await db.execute(
    sql`delete from calls where id in (select id from all_calls order by id limit 4)`,
  );
  await db.execute(sql`delete from call_batches where seq = 1`);
  expect(await verify()).toMatchObject({ exit: 1 });
  const forged = sql`update call_batches set digests = digests || sha256('more'), before = null where seq = 2`;
  await db.execute(forged);
  expect(await verify()).toMatchObject({ exit: 1 });
  await db.execute(sql`delete from call_batches`);
  await db.execute(sql`delete from calls`);
  await db.execute(sql`insert into call_batches select * from all_batches where seq > 2`);
  const gone = await runBeside(world, ["calls", "verify", "--day", yesterday, "--json"]);
  expect([gone.exit, gone.json["broken"]]).toEqual([1, 1]);
}, 60_000);

test("rows that are there already, or of a person who is gone, are left out, and the chain holds for the rest", async () => {
  await using world = await openWorld();
  const { db, bindingKey } = world.app;
  const at = new Date();
  const row = (personId: string | null) => {
    const about = { requestId: "r", upstream: "mercadolibre", httpMethod: "POST", status: 200 };
    return { ...about, id: newId(at), at, personId, durationMs: 1 };
  };
  const [first, second, third] = [row(null), row(null), row(null)];
  const ofNobody = row(newId(at));
  const makeLink = chainWith(bindingKey);
  await saveCalls(db, encodedRows([first, second]), makeLink);
  await saveCalls(db, encodedRows([second, ofNobody, third]), makeLink);
  await saveCalls(db, encodedRows([first]), makeLink);
  const kept = await db.execute<{ id: string }>(sql`select id from calls order by id`);
  expect(kept.map(({ id }) => id)).toEqual([first, second, third].map(({ id }) => id).toSorted());
  const shown = await runBeside(world, ["calls", "verify", "--day", today(), "--json"]);
  expect(shown.json).toMatchObject({ batches: 2, calls: 3, broken: 0, changed: 0, missing: 0 });
});
