import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { hash } from "node:crypto";
import { loadConfig } from "#src/config/load.ts";
import { saveConditions } from "#src/operations/alerts/alert-store.ts";
import { newId } from "#src/crypto/ids.ts";
import { chainWith } from "#src/proxy/record.ts";
import { saveCalls } from "#src/proxy/call-store.ts";
import { encodedRows } from "#test/support/call-rows.ts";
import { pendingApprovals } from "#src/policy/approvals/store.ts";
import { authorizedAgent, formIn } from "#test/support/agent-like.ts";
import { saveDefinitions } from "#src/policy/tools/store.ts";
import { countsSince, dayCounts, durationAt, refusalsSince } from "#src/proxy/call-count-store.ts";
import { runBeside } from "#test/cli/run.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { eventually } from "#test/guards/setup.ts";
import { textsOf } from "#test/attacks/setup.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { openConsole } from "./operator.ts";

async function call({ url }: Pick<World, "url">, bearer: string, name: string) {
  await (await post(`${url}/mcp/mercadolibre`, bearer, toolCall(name))).text();
}

async function idOf({ app }: World, table: "accounts" | "sessions"): Promise<string> {
  const [row] = await app.db.execute<{ id: string }>(
    sql`select id from ${sql.identifier(table)} order by id desc limit 1`,
  );
  return row?.id ?? "";
}

/** Who did what on the console, the newest first. */
async function actions({ app }: World): Promise<readonly string[]> {
  const rows = await app.db.execute<{ text: string }>(
    sql`select actor || ' ' || action || ' ' || about as text from operator_actions order by id desc`,
  );
  return rows.map(({ text }) => text);
}

test("smartdash console prints a link for a role and a name, and refuses others", async () => {
  await using world = await openWorld();
  const made = await runBeside(world, ["console", "--role", "auditor", "--as", "ana", "--json"]);
  expect(made.json).toMatchObject({
    role: "auditor",
    subject: "ana",
    url: expect.stringMatching(/\/console\/enter\/sd_rev_[\w-]{43}$/),
  });
  for (const wrong of [
    ["--role", "owner"],
    ["--as", "<ana>"],
  ]) {
    expect((await runBeside(world, ["console", ...wrong])).exit).toBe(2);
  }
  // A link of `tools review` opens the console too: it is one way in.
  const review = await runBeside(world, ["tools", "review", "--json"]);
  expect((review.json as { url: string }).url).toContain("/review/sd_rev_");
});

test("every call that is stored is counted once: by minute, hour and day, with what a guard said and how long it took", async () => {
  await using world = await openWorld();
  const { app } = world;
  const bearer = await newBearer({ url: world.url });
  for (let number = 0; number < 7; number += 1) await call(world, bearer, "list_orders");
  await app.db.execute(sql`insert into switches (subject) values ('tool:mercadolibre/echo')`);
  const stored = () =>
    app.db.execute<{ count: number }>(sql`select count(*)::int as count from calls`);
  await eventually(async () => (await stored())[0]?.count === 7);
  await runBeside(world, ["switch", "off", "tool:mercadolibre/list_orders"]);
  await call(world, bearer, "list_orders");
  await eventually(async () => (await stored())[0]?.count === 8);
  const since = new Date(Date.now() - 3_600_000);
  for (const span of ["minute", "hour"] as const) {
    const window = { span, since: new Date(since.getTime() - 3_600_000), stretchSeconds: 86_400 };
    const counts = await countsSince(app.db, window);
    const sum = (part: (each: (typeof counts)[number]) => number) =>
      counts.reduce((all, each) => all + part(each), 0);
    expect([sum(({ calls }) => calls), sum(({ refused }) => refused)]).toEqual([8, 1]);
    expect(sum(({ durations }) => durations.reduce((all, each) => all + each, 0))).toBe(7);
    expect(await refusalsSince(app.db, window)).toEqual([{ guard: "switched_off", calls: 1 }]);
  }
  const caller = `session:${await idOf(world, "sessions")}`;
  const day = new Date(Date.now() - 2 * 86_400_000);
  const days = await dayCounts(app.db, { callers: [caller, "session:x"], since: day });
  expect(days.reduce((all, { calls }) => all + calls, 0)).toBe(8);
  expect(new Set(days.map(({ account }) => account))).toEqual(
    new Set([await idOf(world, "accounts")]),
  );
}, 20_000);

test("a duration of a percentile is the bound that so many calls did not exceed", () => {
  const none = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  expect(durationAt(none, 0.5)).toBeUndefined();
  expect(durationAt([98, 0, 0, 1, 1, ...none.slice(5)], 0.5)).toBe(5);
  expect(durationAt([98, 0, 0, 1, 1, ...none.slice(5)], 0.99)).toBe(50);
  expect(durationAt([...none.slice(1), 1], 0.99)).toBe(Number.POSITIVE_INFINITY);
});

test("the overview says what wants a decision, and each line leads to where it is made", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_APPROVAL: "destructive" } });
  const { app, url } = world;
  const bearer = await newBearer({ url });
  const { read } = await openConsole(world);
  expect(await read("overview")).toContain("Nothing waits for a decision.");
  await (await post(`${url}/mcp`, bearer, { jsonrpc: "2.0", id: 1, method: "tools/list" })).text();
  await call(world, bearer, "close_listing");
  const definition = JSON.stringify({ name: "list_orders", description: "changed" });
  const changed = {
    name: "list_orders",
    hash: "0".repeat(64),
    definition,
    nature: "reading" as const,
  };
  const list = { upstream: "mercadolibre", isLast: true, isTrusting: false };
  await saveDefinitions(app.db, { ...list, definitions: [changed] });
  await saveConditions(app.db, [{ kind: "upstream_failing", subject: "x", summary: "It fails" }]);
  await app.db.execute(sql`update accounts set state = 'reconnect_required'`);
  await runBeside(world, ["switch", "off", "airtable"]);
  const page = (await read("overview")).replaceAll(/\s+/g, " ");
  for (const [room, words] of [
    ["alerts", "Open alerts, not acknowledged: 1"],
    ["tools", "Tool definitions that wait for review: 1"],
    ["approvals", "Calls that wait for an answer: 1"],
    ["accounts?state=reconnect_required", "Accounts that are to be reconnected: 1"],
    ["tools", "Switched off, by somebody or a guard: 1"],
  ] as const) {
    const links = page.split("<a ").filter((link) => link.includes(`>${words}</a`));
    expect([words, links.map((link) => link.includes(`href="/console/${room}"`))]).toEqual([
      words,
      [true],
    ]);
  }
  expect(page).toContain("upstream_switched_off");
  expect(page).toContain("with warnings");
}, 20_000);

test("each button does what its command does, and is written down with who pressed it", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_APPROVAL: "destructive" } });
  const { app, url } = world;
  const bearer = await newBearer({ url });
  await (await post(`${url}/mcp`, bearer, { jsonrpc: "2.0", id: 1, method: "tools/list" })).text();
  await call(world, bearer, "close_listing");
  const { read, press } = await openConsole(world);
  const account = await idOf(world, "accounts");
  const session = await idOf(world, "sessions");

  await press("switch", { subject: "mercadolibre", state: "off", back: "tools" });
  expect((await post(`${url}/mcp/mercadolibre`, bearer, toolCall("echo"))).status).toBe(503);
  await press("switch", { subject: "mercadolibre", state: "on", back: "tools" });
  expect((await post(`${url}/mcp/mercadolibre`, bearer, toolCall("echo"))).status).toBe(200);

  const question = /name="id"\s+value="([0-9a-f-]{36})"/.exec(await read("approvals"))?.[1] ?? "";
  await press("approvals/answer", { id: question, extent: "once" });
  expect([...(await app.db.execute(sql`select state, decided_by from approvals`))]).toEqual([
    { state: "approved", decided_by: "console:ana" },
  ]);

  await press("tools/hold", { upstream: "mercadolibre", tool: "echo" });
  const held = await app.db.execute(
    sql`select state, decided_by from tool_definitions where name = 'echo'`,
  );
  expect([...held]).toEqual([{ state: "held", decided_by: "console:ana" }]);

  await saveConditions(app.db, [{ kind: "upstream_failing", subject: "x", summary: "It fails" }]);
  await press("alerts/acknowledge", { kind: "upstream_failing", subject: "x" });
  expect(await read("alerts")).toContain("acknowledged by console:ana");
  // It counts until it fires anew.
  await saveConditions(app.db, [{ kind: "upstream_failing", subject: "x", summary: "It fails" }]);
  expect(await read("alerts")).toContain("acknowledged by console:ana");
  await saveConditions(app.db, []);
  await saveConditions(app.db, [{ kind: "upstream_failing", subject: "x", summary: "Again" }]);
  expect(await read("alerts")).not.toContain("acknowledged by");

  await press(`accounts/${account}/refresh`);
  expect(await read(`accounts/${account}`)).toContain("refresh_success");

  await press("revoke", { kind: "session", id: session });
  expect((await post(`${url}/mcp/mercadolibre`, bearer, toolCall("whoami"))).status).toBe(401);
  await press("revoke", { kind: "account", id: account });
  expect(await read(`accounts/${account}`)).toContain("revoked");

  expect(await actions(world)).toEqual([
    `ana account_revoke ${account}`,
    `ana session_revoke ${session}`,
    `ana account_refresh ${account}`,
    "ana alert_acknowledge upstream_failing x",
    "ana tool_held mercadolibre/echo",
    `ana approval_allow ${question}`,
    "ana switch_on mercadolibre",
    "ana switch_off mercadolibre",
  ]);
  expect(await read("audit")).toContain("account_revoke");
}, 30_000);

test("what cannot be written down is not done", async () => {
  await using world = await openWorld();
  const { press } = await openConsole(world);
  await world.app.db.execute(sql`alter table operator_actions rename to operator_actions_away`);
  const answer = await press("switch", { subject: "mercadolibre", state: "off", back: "tools" });
  expect(answer.status).toBeGreaterThanOrEqual(500);
  const [row] = await world.app.db.execute(sql`select count(*)::int as off from switches`);
  expect(row).toEqual({ off: 0 });
});

test("the live view shows calls of both replicas, through either, each once, as its filter says", async () => {
  await using world = await openWorld();
  await using second = await secondGateway(world);
  const bearer = await newBearer({ url: world.url });
  const { visitor } = await openConsole(world);
  for (const at of [world, second]) {
    const [newest] = await world.app.db.execute<{ id: string | null }>(
      sql`select max(id::text) as id from calls`,
    );
    const after = newest?.id ?? "00000000-0000-7000-8000-000000000000";
    const answer = await visitor.get(`${at.url}/console/calls/live?tool=whoami&after=${after}`);
    for (const each of [world, second]) {
      await call(each, bearer, "whoami");
      await call(each, bearer, "list_orders");
    }
    let text = "";
    const sent = () =>
      [...text.matchAll(/^data: (.*)$/gm)].map(([, json = ""]) => JSON.parse(json));
    for await (const more of textsOf(answer)) {
      text += more;
      if (sent().length >= 2) break;
    }
    expect(sent().map(({ what }) => what)).toEqual(["tools/call whoami", "tools/call whoami"]);
    expect(new Set(sent().map(({ id }) => id)).size).toBe(2);
  }
}, 20_000);

test("pages go on without counting anything: each row once, by keyset", async () => {
  await using world = await openWorld();
  const { app } = world;
  await app.db.execute(sql`
    insert into calls (id, at, request_id, upstream, http_method, status, duration_ms)
    select ('01a22bee-' || lpad(to_hex(n), 4, '0') || '-7000-8000-000000000000')::uuid, now() - (300 - n) * interval '1 second',
      'r' || n, 'x', 'POST', 200, 1 from generate_series(1, 250) n`);
  const { read } = await openConsole(world);
  const seen: string[] = [];
  let next: string | undefined = "calls";
  while (next !== undefined) {
    const page: string = await read(next);
    seen.push(
      ...[...page.matchAll(/href="\/console\/calls\/([0-9a-f-]{36})"/g)].map(([, id = ""]) => id),
    );
    next = /href="\/console\/(calls\?[^"]*before=[^"]+)"/.exec(page)?.[1]?.replaceAll("&amp;", "&");
  }
  expect([seen.length, new Set(seen).size]).toEqual([250, 250]);
});

test("settings show what may be shown, and never what could be a secret", async () => {
  await using world = await openWorld({
    environment: { METRICS_TOKEN: "do-not-show-me-anywhere" },
  });
  const { read } = await openConsole(world);
  const page = await read("settings");
  expect(page).not.toContain("do-not-show-me");
  expect(page).not.toContain(world.environment["ENCRYPTION_KEY"] ?? "?");
  expect(page).not.toContain(world.database.url);
  expect(page).toContain("METRICS_TOKEN");
});

test("a logo and a colour of the operator's own are on the console, within its policy; others are refused", async () => {
  const folder = await temporaryFolder();
  const logo = `${folder}/logo.svg`;
  await Bun.write(logo, '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await using world = await openWorld({
    environment: { SMARTDASH_COLOUR: "#FFD400", SMARTDASH_LOGO: logo },
  });
  const { visitor } = await openConsole(world);
  const answer = await visitor.get(`${world.url}/console/overview`);
  const page = await answer.text();
  expect(page).toContain('src="data:image/svg+xml;base64,');
  // Black is what can be read on yellow.
  expect(page).toContain("--button:#ffd400;--on-button:#000");
  const text = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? "";
  expect(answer.headers.get("content-security-policy")).toContain(hash("sha256", text, "base64"));
  for (const [name, value] of [
    ["SMARTDASH_COLOUR", "yellow;}body{display:none"],
    ["SMARTDASH_LOGO", `${folder}/nothing.png`],
    ["SMARTDASH_LOGO", import.meta.path],
  ] as const) {
    const { problems } = loadConfig({ [name]: value });
    expect(problems.map(({ setting }) => setting)).toEqual([name]);
  }
});

test("a month of a busy gateway is counted beyond what four bytes hold", async () => {
  await using world = await openWorld();
  await world.app.db.execute(sql`
    insert into call_counts (span, slot, upstream, caller, account, guard, calls, failed, durations)
    select 'hour', date_trunc('hour', now()) - n * interval '1 hour', 'x', '', '', '', 3600000, 0,
      array[3600000,0,0,0,0,0,0,0,0,0,0,0] from generate_series(0, 700) n`);
  const { read } = await openConsole(world);
  expect(await read("overview?period=month")).toContain("2523600000");
});

test("a person who is deleted while a batch is stored costs that batch nothing", async () => {
  await using world = await openWorld();
  const { db } = world.app;
  const makeLink = chainWith(world.app.bindingKey);
  const people = Array.from({ length: 20 }, () => newId(new Date()));
  for (const id of people) await db.execute(sql`insert into people (id) values (${id})`);
  const rowAt = (at: Date, personId: string | undefined) => {
    const id = newId(at);
    const facts = { requestId: "r", upstream: "x", httpMethod: "POST", status: 200, durationMs: 1 };
    return { id, at, personId, ...facts };
  };
  const saving = people.map(async (personId) => {
    const rows = Array.from({ length: 50 }, (_, at) =>
      rowAt(new Date(), at === 0 ? personId : undefined),
    );
    const save = () => saveCalls(db, encodedRows(rows), makeLink);
    // What the recorder does: a batch that met something passing is stored the next time.
    await save().catch(save);
  });
  const deleting = people.map((id) => db.execute(sql`delete from people where id = ${id}`));
  await Promise.all([...saving, ...deleting]);
  const [row] = await db.execute<{ stored: number; counted: number }>(sql`
    select (select count(*)::int from calls where person_id is null) as stored,
      (select sum(calls)::int from call_counts where span = 'minute') as counted`);
  expect(row?.stored).toBe(people.length * 49);
  expect(row?.counted).toBeGreaterThanOrEqual(people.length * 49);
}, 20_000);

test("a change at /review is written down as one on the console; an auditor has no button there", async () => {
  await using world = await openWorld();
  const { app, url } = world;
  const bearer = await newBearer({ url });
  await (await post(`${url}/mcp`, bearer, { jsonrpc: "2.0", id: 1, method: "tools/list" })).text();
  const definition = JSON.stringify({ name: "list_orders", description: "changed" });
  const changed = {
    name: "list_orders",
    hash: "0".repeat(64),
    definition,
    nature: "reading" as const,
  };
  const list = { upstream: "mercadolibre", isLast: true, isTrusting: false };
  await saveDefinitions(app.db, { ...list, definitions: [changed] });
  const auditor = await openConsole(world, "auditor");
  const looked = await (await auditor.visitor.get(`${url}/review`)).text();
  expect([looked.includes("list_orders"), looked.includes("<button")]).toEqual([true, false]);
  const operator = await openConsole(world);
  const page = await (await operator.visitor.get(`${url}/review`)).text();
  const { form_token = "", hash: digest = "" } = formIn(page);
  const decided = { form_token, upstream: "mercadolibre", hash: digest, state: "approved" };
  expect((await operator.visitor.post(`${url}/review`, decided)).status).toBe(303);
  const [action] = await app.db.execute(sql`select actor, action, outcome from operator_actions`);
  expect(action).toEqual({ actor: "ana", action: "tool_approved", outcome: "done" });
});

test("how a change ended is written down, with the code of what went wrong", async () => {
  await using world = await openWorld();
  const { press, read } = await openConsole(world);
  expect((await press("switch", { subject: "nothing_of_that_name", state: "off" })).status).toBe(
    400,
  );
  await press("switch", { subject: "mercadolibre", state: "off", back: "tools" });
  const rows = await world.app.db.execute(
    sql`select about, outcome from operator_actions order by id`,
  );
  expect([...rows]).toEqual([
    { about: "nothing_of_that_name", outcome: "usage" },
    { about: "mercadolibre", outcome: "done" },
  ]);
  expect(await read("audit")).toContain("usage");
});

test("what PostgreSQL does not take, and days that are none, are refused with words", async () => {
  await using world = await openWorld();
  const { visitor, press } = await openConsole(world);
  for (const path of [
    "calls?tool=%00",
    "accounts?named=%00",
    "revoke?kind=agent&id=%00",
    "audit?day=9999-12-31",
    "audit?day=x",
    "calls?before=x",
    "accounts/x",
    "calls/x",
    "tools?after=%00",
  ]) {
    const { status } = await visitor.get(`${world.url}/console/${path}`);
    expect([path, status < 500]).toEqual([path, true]);
  }
  for (const [path, fields] of [
    ["switch", { subject: "agent:\0", state: "off" }],
    ["tools/decide", { upstream: "\0", hash: "\0", state: "held" }],
    ["alerts/acknowledge", { kind: "\0", subject: "x" }],
    ["revoke", { kind: "agent", id: "\0" }],
  ] as const) {
    expect([path, (await press(path, fields)).status]).toEqual([path, 403]);
  }
});

test("a call that took long is in the live view, too, and each row comes once when the browser asks again", async () => {
  await using world = await openWorld();
  const { db } = world.app;
  const { visitor } = await openConsole(world);
  const insert = (beganSeconds: number, tookSeconds: number, name: string) =>
    db.execute(sql`
      insert into calls (id, at, request_id, upstream, http_method, rpc_method, name, status, duration_ms)
      select (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7000-8000-' || lpad(to_hex(${beganSeconds}::int), 12, '0'))::uuid, at,
        'r', 'x', 'POST', 'tools/call', ${name}, 200, ${tookSeconds * 1000}
      from (select at, lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') as h
        from (select now() - ${beganSeconds}::int * interval '1 second' as at) a) b`);
  const answer = await visitor.get(`${world.url}/console/calls/live`);
  let text = "";
  let isInserted = false;
  for await (const more of textsOf(answer)) {
    text += more;
    if (!isInserted) await insert(300, 299, "slow");
    isInserted = true;
    if (text.includes("slow")) break;
  }
  expect(text).toMatch(/^id: [0-9a-f-]{36}$/m);
  expect(text.match(/"what":"tools\/call slow"/g)).toHaveLength(1);
}, 30_000);

test("what was held on purpose is approved as it is shown, and what was decided about which tool is written down", async () => {
  await using world = await openWorld();
  const { url } = world;
  const bearer = await newBearer({ url });
  await (await post(`${url}/mcp`, bearer, { jsonrpc: "2.0", id: 1, method: "tools/list" })).text();
  const { read, press } = await openConsole(world);
  await press("tools/hold", { upstream: "mercadolibre", tool: "echo" });
  const held = async () =>
    (await (await post(`${url}/mcp/mercadolibre`, bearer, toolCall("echo"))).text()).includes(
      "held",
    );
  await eventually(held);
  const room = await read("tools?upstream=mercadolibre");
  expect(room).toContain("/console/tools?upstream=mercadolibre&amp;tool=echo");
  const page = await read("tools?upstream=mercadolibre&tool=echo");
  expect(page).toContain("held on purpose");
  const seen = /name="seen" value="(\w+)"/.exec(page)?.[1] ?? "";
  const wrong = await press("tools/release", {
    upstream: "mercadolibre",
    tool: "echo",
    seen: "00",
  });
  expect([wrong.status, (await wrong.text()).includes("not what is held now")]).toEqual([
    400,
    true,
  ]);
  const done = await press("tools/release", { upstream: "mercadolibre", tool: "echo", seen });
  expect(done.headers.get("location")).toBe("/console/tools?upstream=mercadolibre&done");
  await eventually(async () => !(await held()));
  expect((await actions(world)).slice(0, 3)).toEqual([
    "ana tool_approved mercadolibre/echo",
    "ana tool_approved mercadolibre/echo",
    "ana tool_held mercadolibre/echo",
  ]);
}, 20_000);

test("who has switched something off stands where it is seen, for operators and for the person", async () => {
  await using world = await openWorld();
  const agent = await authorizedAgent(world.url);
  const { read, press } = await openConsole(world, "operator", "José Pérez");
  const [row] = await world.app.db.execute<{ id: string }>(sql`select policy_id as id from grants`);
  const done = await press("switch", { subject: `grant:${row?.id}`, state: "off", back: "agents" });
  expect(done.headers.get("location")).toBe("/console/agents?done");
  expect(await read("tools")).toContain("console:José Pérez");
  expect(await read("agents?done")).toContain('role="status">Done.');
  const home = await (await agent.visitor.get(`${world.url}/`)).text();
  expect(home).toContain("Agents that the operator has switched off");
  expect(home).not.toContain(`/stopped/grant/${row?.id}`);
}, 20_000);

test("a mistake is told on a page of the console, in words, and with the way on", async () => {
  await using world = await openWorld();
  const { visitor } = await openConsole(world);
  for (const [path, words] of [
    ["audit?day=2999-01-01", "has not begun"],
    ["audit?day=2026-13-45", "2026-13-45"],
    ["accounts/01a22bee-ed2a-78b7-9b6a-a3308da0241e", "does not exist"],
    ["tools?upstream=mercadolibre&tool=nothing", "nothing"],
  ] as const) {
    const answer = await visitor.get(`${world.url}/console/${path}`);
    const page = await answer.text();
    expect([path, answer.status >= 400, page.includes(words), page.includes("<nav")]).toEqual([
      path,
      true,
      true,
      true,
    ]);
  }
});

test("an agent that has ended asks nothing any more", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_APPROVAL: "destructive" } });
  const { url, app } = world;
  const bearer = await newBearer({ url });
  await (await post(`${url}/mcp`, bearer, { jsonrpc: "2.0", id: 1, method: "tools/list" })).text();
  await call(world, bearer, "close_listing");
  expect((await pendingApprovals(app.db)).length).toBe(1);
  await app.db.execute(sql`update sessions set ended_at = now()`);
  expect(await pendingApprovals(app.db)).toEqual([]);
});
