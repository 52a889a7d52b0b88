import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { createOperatorLink } from "#src/people/operators.ts";
import { saveDefinitions } from "#src/policy/tools/store.ts";
import { eventually } from "#test/guards/setup.ts";
import { type AtConsole, buttons, consoleRooms, openConsole } from "#test/console/operator.ts";
import { connectSeller, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { textsOf } from "./setup.ts";
import { type World, openWorld } from "#test/support/world.ts";

/** What an operator could change: it is the same before and after an attack that fails. */
async function changeable({ app }: World) {
  return [
    ...(await app.db.execute(sql`
      select (select count(*)::int from switches) as off, (select count(*)::int from operator_actions) as actions,
        (select count(*)::int from alerts where acknowledged_at is not null) as acknowledged,
        (select count(*)::int from sessions where ended_at is not null) as ended,
        (select sum(generation)::int from accounts) as generations,
        (select count(*)::int from tool_definitions where decided_by like 'console%') as decided`)),
  ];
}

test("CO-1: a form of the console without its token, or with another browser's, changes nothing", async () => {
  await using world = await openWorld();
  await newBearer({ url: world.url });
  const operator = await openConsole(world);
  const other = await openConsole(world);
  const token = /name="form_token" value="([^"]+)"/.exec(await other.read("overview"))?.[1] ?? "";
  const before = await changeable(world);
  for (const [path, fields] of [...buttons, ["leave", {}] as const]) {
    for (const stolen of [{}, { form_token: "x" }, { form_token: token }]) {
      const answer = await operator.visitor.post(`${world.url}/console/${path}`, {
        ...fields,
        ...stolen,
      });
      expect([path, answer.status, await answer.text()]).toEqual([
        path,
        403,
        expect.stringContaining("form_refused"),
      ]);
    }
  }
  expect(await changeable(world)).toEqual(before);
  expect(await operator.read("overview")).toContain("form_token");
});

test("CO-2: no page of the console can be framed, run a script of its own, or load anything from elsewhere", async () => {
  await using world = await openWorld();
  const { visitor } = await openConsole(world);
  for (const room of consoleRooms) {
    const answer = await visitor.get(`${world.url}/console/${room}`);
    const policy = answer.headers.get("content-security-policy") ?? "";
    expect([room, answer.status, answer.headers.get("x-frame-options")]).toEqual([
      room,
      200,
      "DENY",
    ]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toContain("unsafe");
    const page = await answer.text();
    expect(page.match(/<script(?![^>]* src="\/console\/live\.js")/g)).toBeNull();
    expect(page).not.toMatch(/ on\w+="| style="|(?:src|href)="(?:https?:)?\/\//);
  }
});

test("CO-3: whoever has signed in as a person, or not at all, gets at nothing of the console", async () => {
  await using world = await openWorld();
  const seller = newVisitor();
  await connectSeller(seller, { url: world.url });
  const bearer = await newBearer({ url: world.url });
  const before = await changeable(world);
  for (const visitor of [seller, newVisitor()]) {
    for (const room of [...consoleRooms, "calls/live", "revoke?kind=account&id=x"]) {
      const answer = await visitor.get(`${world.url}/console/${room}`);
      expect([room, answer.status, await answer.text()]).toEqual([
        room,
        403,
        expect.stringContaining("review_link_needed"),
      ]);
    }
    for (const [path, fields] of buttons) {
      const home = await (await visitor.get(`${world.url}/`)).text();
      const form_token = /name="form_token" value="([^"]+)"/.exec(home)?.[1] ?? "";
      const answer = await visitor.post(`${world.url}/console/${path}`, { ...fields, form_token });
      expect([path, answer.status]).toEqual([path, 403]);
    }
  }
  // A bearer of an agent is no key to it either.
  const headers = { authorization: `Bearer ${bearer}` };
  expect((await fetch(`${world.url}/console/overview`, { headers })).status).toBe(403);
  expect(await changeable(world)).toEqual(before);
});

test("CO-4: what others have written is text on every page of the console, and in what comes live", async () => {
  await using world = await openWorld();
  const { app, url } = world;
  const bearer = await newBearer({ url });
  const evil = `<script>alert(1)</script><img src=x onerror="alert(2)">\u202E`;
  const definition = JSON.stringify({ name: evil, description: evil });
  await saveDefinitions(app.db, {
    upstream: "mercadolibre",
    definitions: [{ name: evil, hash: "1".repeat(64), definition, nature: "reading" }],
    isLast: true,
    isTrusting: false,
  });
  await app.db.execute(
    sql`update tool_definitions set state = 'held', decided_at = null, decided_by = null`,
  );
  await app.db.execute(sql`update accounts set label = ${evil}, last_error = ${evil}`);
  await app.db.execute(sql`update sessions set platform = ${evil}`);
  await app.db.execute(sql`
    insert into alerts (kind, subject, state, summary, acknowledged_by) values (${evil}, ${evil}, 'firing', ${evil}, ${evil})`);
  await app.db.execute(
    sql`insert into switches (subject, reason) values (${`agent:${evil}`}, ${evil})`,
  );
  await app.db.execute(sql`
    insert into approvals (id, caller, agent, upstream, tool, arguments_hash, expires_at)
    values (gen_random_uuid(), ${evil}, ${evil}, 'mercadolibre', ${evil}, 'x', now() + interval '1 hour')`);
  await app.db.execute(sql`
    insert into operator_actions (id, actor, action, about) values (gen_random_uuid(), ${evil}, ${evil}, ${evil})`);
  const called = await post(`${url}/mcp/mercadolibre`, bearer, toolCall(evil));
  await called.text();
  const rows = await app.db.execute<{ id: string }>(sql`select id from accounts`);
  const { read, visitor } = await openConsole(world);
  const live = await visitor.get(
    `${url}/console/calls/live?after=00000000-0000-7000-8000-000000000000`,
  );
  let sent = "";
  for await (const text of textsOf(live)) {
    sent += text;
    if (sent.includes("data:")) break;
  }
  expect(sent).toContain("data:");
  const calls = await app.db.execute<{ id: string }>(
    sql`select id from calls order by id desc limit 1`,
  );
  const seen: string[] = [];
  for (const room of [...consoleRooms, `accounts/${rows[0]?.id}`, `calls/${calls[0]?.id}`]) {
    // What a button sends back has to be what it was.
    const page = (await read(room)).replace(/<input\s+type="hidden"[^>]*>/g, "");
    expect([room, page.match(/<script>|<img/g)]).toEqual([room, null]);
    expect([room, page.includes("\u202E")]).toEqual([room, false]);
    if (page.includes("&lt;script&gt;")) seen.push(room);
  }
  expect(seen.length).toBeGreaterThanOrEqual(7);
});

test("CO-5: an auditor sees every room, no arguments of calls, and changes nothing", async () => {
  await using world = await openWorld({ environment: { SMARTDASH_APPROVAL: "destructive" } });
  const { url } = world;
  const bearer = await newBearer({ url });
  await (await post(`${url}/mcp`, bearer, { jsonrpc: "2.0", id: 1, method: "tools/list" })).text();
  const asked = toolCall("close_listing", { item_id: "MLA1001", reason: "secret-reason" });
  await (await post(`${url}/mcp`, bearer, asked)).text();
  const operator = await openConsole(world);
  const auditor = await openConsole(world, "auditor");
  expect(await operator.read("approvals")).toContain("secret-reason");
  const before = await changeable(world);
  for (const room of consoleRooms) {
    const page = await auditor.read(room);
    expect([room, page.includes("secret-reason")]).toEqual([room, false]);
    // The way out is all there is to press.
    expect([room, page.match(/method="post"/g)]).toEqual([room, ['method="post"']]);
  }
  expect(await auditor.read("approvals")).toContain("close_listing");
  for (const [path, fields] of buttons) {
    const answer = await auditor.press(path, fields);
    expect([path, answer.status, await answer.text()]).toEqual([
      path,
      403,
      expect.stringContaining("operator_needed"),
    ]);
  }
  const review = await auditor.visitor.get(`${url}/review`);
  const form_token = /name="form_token" value="([^"]+)"/.exec(await auditor.read("overview"))?.[1];
  expect(review.status).toBe(200);
  const decided = await auditor.visitor.post(`${url}/review`, {
    form_token: form_token ?? "",
    upstream: "mercadolibre",
    hash: "0".repeat(64),
    state: "approved",
  });
  expect([decided.status, await decided.text()]).toEqual([
    403,
    expect.stringContaining("operator_needed"),
  ]);
  expect(await changeable(world)).toEqual(before);
});

test("CO-6: a link of the console works once, not when a preview fetches it, not late; leaving ends the hour", async () => {
  await using world = await openWorld();
  const { app, url } = world;
  const { url: link } = await createOperatorLink({ ...app, publicUrl: url }, { page: "console" });
  for (const method of ["HEAD", "GET"]) expect((await fetch(link, { method })).status).toBe(200);
  expect((await newVisitor().post(link, {})).status).toBe(303);
  for (const answer of [await newVisitor().post(link, {}), await fetch(link)]) {
    expect([answer.status, await answer.text()]).toEqual([
      403,
      expect.stringContaining("review_link_needed"),
    ]);
  }
  const late = await createOperatorLink({ ...app, publicUrl: url }, { page: "console" });
  const operator = await openConsole(world);
  const cookies = new Map(operator.visitor.cookies);
  expect((await operator.press("leave")).status).toBe(303);
  // A copy of the cookie is worth nothing any more.
  for (const [name, value] of cookies) operator.visitor.cookies.set(name, value);
  expect((await operator.visitor.get(`${url}/console/overview`)).status).toBe(403);
  await app.db.execute(sql`update review_keys set expires_at = now() - interval '1 second'`);
  expect((await newVisitor().post(late.url, {})).status).toBe(403);
});

test("CO-7: live views are bounded: twenty on a replica, four of one browser, none of a request for the head alone", async () => {
  await using world = await openWorld();
  const at = `${world.url}/console/calls/live`;
  const browsers = await Promise.all(Array.from({ length: 6 }, () => openConsole(world)));
  const [first] = browsers;
  const head = () => fetch(at, { method: "HEAD", headers: cookiesOf(first) });
  for (let round = 0; round < 30; round += 1) expect((await head()).status).toBe(200);
  const open = async (browser: AtConsole | undefined) => {
    const answer = await fetch(at, { headers: cookiesOf(browser) });
    if (answer.status !== 200) await answer.body?.cancel();
    return answer;
  };
  const opened: Response[] = [];
  for (const browser of browsers.slice(0, 5)) {
    for (let view = 0; view < 4; view += 1) opened.push(await open(browser));
    // One more of the same browser is too many.
    expect((await open(browser)).status).toBe(429);
  }
  expect(opened.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  expect((await open(browsers[5])).status).toBe(429);
  await opened[0]?.body?.cancel();
  await eventually(async () => {
    const again = await open(browsers[5]);
    await again.body?.cancel();
    return again.status === 200;
  });
  for (const each of opened.slice(1)) await each.body?.cancel();
}, 20_000);

function cookiesOf(browser: AtConsole | undefined) {
  const cookies = [...(browser?.visitor.cookies ?? [])].map(([name, value]) => `${name}=${value}`);
  return { cookie: cookies.join("; ") };
}
