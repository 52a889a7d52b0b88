import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { hash } from "node:crypto";
import { loadConfig } from "#src/config/load.ts";
import { saveConditions } from "#src/operations/alerts/alert-store.ts";
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
    const counts = await countsSince(app.db, window, "mercadolibre");
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
    ["accounts?state=reconnect_required", "Accounts that are reconnect_required: 1"],
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
