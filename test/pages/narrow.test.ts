import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { hash } from "node:crypto";
import { tidy } from "#src/operations/cleanup/cleanup.ts";
import { narrowingsOf, saveNarrowing } from "#src/policy/tools/narrow-store.ts";
import { dropPolicy, setPolicy } from "#src/policy/tools/review.ts";
import { call, eventually, listed, openGuarded, reading, tool } from "#test/guards/setup.ts";
import {
  authorizedAgent,
  authorizeUrl,
  formIn,
  newPkce,
  redeem,
  tokenRequest,
} from "#test/support/agent-like.ts";
import { type Visitor, connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { ownerOf } from "./seed.ts";

const four = [
  tool("list_orders", reading),
  tool("get_item", reading),
  tool("answer_question", { readOnlyHint: false }),
  tool("close_listing", { readOnlyHint: false }),
];

/** A person's agent that has looked at its tools, and the form of its permission's page. */
async function openPermission(world: World) {
  const agent = await authorizedAgent(world.url);
  const { visitor, tokens, clientId } = agent;
  const at = { url: `${world.url}/mcp`, bearer: tokens.access_token };
  await listed(at);
  const { grantId, policyId } = await ownerOf(world);
  const address = `${world.url}/grants/${grantId}`;
  const page = async () => await (await visitor.get(address)).text();
  const { form_token = "" } = formIn(await page());
  return {
    visitor,
    clientId,
    at,
    refresh: tokens.refresh_token,
    grantId,
    policyId,
    address,
    page,
    form_token,
  };
}

/** What the page has for each tool, by its name. */
function choices(html: string): ReadonlyMap<string, string> {
  const rows = html.matchAll(/name="tool"\s+value="([\w-]+)"\s+checked\s*\/>\s*<span\s*>([\w]+)/g);
  return new Map([...rows].map(([, value = "", name = ""]) => [name, value]));
}

/** Like a browser: a field may come more than once. */
async function send(
  visitor: Visitor,
  address: string,
  fields: readonly (readonly [string, string])[],
): Promise<Response> {
  return await fetch(address, {
    method: "POST",
    redirect: "manual",
    headers: {
      accept: "text/html",
      cookie: [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join("; "),
    },
    body: new URLSearchParams(fields.map(([name, value]) => [name, value])),
  });
}

function keeping(form_token: string, tools: readonly (string | undefined)[]) {
  const kept = tools.map((value) => ["tool", value ?? ""] as const);
  return [["form_token", form_token], ["tools", "chosen"], ...kept] as const;
}

test("what a person takes from an agent is gone at its next call, on every gateway, and in its lists", async () => {
  await using guarded = await openGuarded({ tools: four });
  const { world } = guarded;
  await using second = await secondGateway(world);
  const { visitor, at, address, page, form_token } = await openPermission(world);
  const there = { ...at, url: `${second.url}/mcp` };
  expect((await call(there, "answer_question")).code).toBeUndefined();
  const tools = choices(await page());
  expect([...tools.keys()]).toEqual([
    "answer_question",
    "close_listing",
    "get_item",
    "list_orders",
  ]);
  const kept = [tools.get("get_item"), tools.get("answer_question")];
  const saved = await send(visitor, address, keeping(form_token, kept));
  expect(saved.status).toBe(303);
  expect((await call(at, "list_orders")).code).toBe("tool_refused");
  expect((await call(at, "get_item")).code).toBeUndefined();
  expect(await listed(at)).toEqual(["get_item", "answer_question"]);
  await eventually(async () => (await call(there, "list_orders")).code === "tool_refused");
  expect([...choices(await page()).keys()]).toEqual(["answer_question", "get_item"]);

  await send(visitor, address, [
    ["form_token", form_token],
    ["only_reading", "yes"],
  ]);
  expect((await call(at, "answer_question")).code).toBe("tool_refused");
  expect(await listed(at)).toEqual(["get_item"]);
  const home = await (await visitor.get(`${world.url}/`)).text();
  expect(home).toContain("use the tools that say they change nothing");
});

test("no form gives back what was taken, whatever is posted", async () => {
  await using guarded = await openGuarded({ tools: four }, {}, { tools: { pinning: "off" } });
  const { world } = guarded;
  const { visitor, at, address, page, form_token } = await openPermission(world);
  const tools = choices(await page());
  const all = [...tools.values()];
  await send(visitor, address, keeping(form_token, [tools.get("get_item")]));
  for (const fields of [
    keeping(form_token, all),
    keeping(form_token, ["*", "@writing", "list_orders", ...all]),
    [
      ["form_token", form_token],
      ["only_reading", "no"],
    ] as const,
    [["form_token", form_token]] as const,
    keeping(form_token, []),
  ]) {
    await send(visitor, address, fields);
    expect(await listed(at)).toEqual(["get_item"]);
    expect((await call(at, "list_orders")).code).toBe("tool_refused");
  }
  // A tool that comes later is not among those that were left.
  guarded.offer.tools = [...four, tool("new_tool", reading)];
  expect(await listed(at)).toEqual(["get_item"]);
});

test("a tool whose name is a pattern is never left as one", async () => {
  await using guarded = await openGuarded({ tools: [...four, tool("*", reading)] });
  const { visitor, at, address, page, form_token } = await openPermission(guarded.world);
  const tools = choices(await page());
  const star = hash("sha256", "mercadolibre *", "base64url").slice(0, 12);
  expect(await page()).not.toContain(star);
  await send(visitor, address, keeping(form_token, [tools.get("get_item"), star]));
  expect(await listed(at)).toEqual(["get_item"]);
});

test("the operator's rules and a person's hold beside each other", async () => {
  await using guarded = await openGuarded({ tools: four });
  const { world } = guarded;
  const { visitor, at, address, page, form_token, grantId } = await openPermission(world);
  await setPolicy(world.app, `grant:${grantId}`, {
    allow: ["*_item", "list_*"],
    deny: [],
    approve: [],
  });
  await eventually(async () => (await listed(at)).length === 2);
  const tools = choices(await page());
  expect([...tools.keys()]).toEqual(["get_item", "list_orders"]);
  await send(visitor, address, keeping(form_token, [tools.get("get_item")]));
  expect(await listed(at)).toEqual(["get_item"]);
  await setPolicy(world.app, `grant:${grantId}`, { allow: null, deny: ["get_*"], approve: [] });
  await eventually(async () => (await listed(at)).length === 0);
  await dropPolicy(world.app, `grant:${grantId}`);
  await eventually(async () => (await listed(at)).length === 1);
  expect(await listed(at)).toEqual(["get_item"]);
});

test("a new yes lifts what its person has narrowed; one that is remembered does not", async () => {
  await using guarded = await openGuarded({ tools: four });
  const { world } = guarded;
  const { visitor, clientId, at, address, page, form_token } = await openPermission(world);
  const tools = choices(await page());
  await send(visitor, address, keeping(form_token, [tools.get("get_item")]));
  const silent = await authorizedAgent(world.url, { visitor, clientId });
  expect(await listed({ ...at, bearer: silent.tokens.access_token })).toEqual(["get_item"]);
  const again = { url: world.url, clientId, pkce: newPkce(), query: { prompt: "consent" } };
  const question = await (await visitor.get(authorizeUrl(again))).text();
  expect(question).toContain("you took a part of it away");
  const asked = await authorizedAgent(world.url, {
    visitor,
    clientId,
    query: { prompt: "consent" },
  });
  expect(await listed({ ...at, bearer: asked.tokens.access_token })).toHaveLength(4);
  expect(await (await visitor.get(authorizeUrl(again))).text()).not.toContain("took a part");
});

test("a permission ends on the day that its person has set: its tokens, its place on the page, and without a way around", async () => {
  await using guarded = await openGuarded({ tools: four });
  const { world } = guarded;
  const { db } = world.app;
  const { visitor, clientId, at, refresh, address, page, form_token } = await openPermission(world);
  await using second = await secondGateway(world);
  const there = { ...at, url: `${second.url}/mcp` };
  expect((await call(there, "get_item")).code).toBeUndefined();
  const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const until = async (text: string) => {
    await send(visitor, address, [
      ["form_token", form_token],
      ["until", text],
    ]);
    const [row] = await db.execute<{ ends: string | null }>(
      sql`select to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as ends from grants`,
    );
    return row?.ends ?? null;
  };
  for (const nonsense of ["", day(-1), "2026-02-31x", "99999-01-01"]) {
    expect([nonsense, await until(nonsense)]).toEqual([nonsense, null]);
  }
  expect(await until(day(3))).toBe(`${day(4)} 00:00`);
  // Later is not less.
  expect(await until(day(9))).toBe(`${day(4)} 00:00`);
  expect(await until(day(0))).toBe(`${day(1)} 00:00`);
  expect(await page()).toContain("until");
  // Whoever asks again is not let in unasked, which would be for longer.
  const again = { url: world.url, clientId, pkce: newPkce() };
  expect(await (await visitor.get(authorizeUrl(again))).text()).toContain('name="consent"');

  await db.execute(sql`update grants set expires_at = now() - interval '1 second'`);
  expect(await (await visitor.get(`${world.url}/`)).text()).not.toContain(address);
  const refreshed = await tokenRequest(world.url, {
    grant_type: "refresh_token",
    refresh_token: refresh,
    client_id: clientId,
  });
  expect([refreshed.status, await refreshed.json()]).toMatchObject([
    400,
    { error: "invalid_grant" },
  ]);
  // Gateways that have its caller in memory are told when it is ended.
  await tidy(world.app);
  for (const where of [at, there]) {
    await eventually(async () => {
      const answer = await post(where.url, where.bearer, toolCall("get_item"));
      return answer.status === 401;
    });
  }
  expect([...(await db.execute(sql`select ended_at is not null as ended from grants`))]).toEqual([
    { ended: true },
  ]);
}, 20_000);

test("CO-9: a permission ends with every grant of it: one that was remembered, and one whose code is still kept", async () => {
  await using guarded = await openGuarded({ tools: four });
  const { world } = guarded;
  const { db } = world.app;
  const { visitor, clientId, address, form_token } = await openPermission(world);
  const silent = await authorizedAgent(world.url, { visitor, clientId });
  const pkce = newPkce();
  const asked = await visitor.get(authorizeUrl({ url: world.url, clientId, pkce }));
  const kept = new URL(asked.headers.get("location") ?? "").searchParams.get("code") ?? "";
  expect(kept).not.toBe("");
  const rows = () =>
    db.execute<{ policies: number; grants: number; dated: number; open: number }>(sql`
      select count(distinct policy_id)::int as policies, count(*)::int as grants, count(expires_at)::int as dated,
        count(*) filter (where ended_at is null)::int as open from grants`);
  expect([...(await rows())]).toEqual([{ policies: 1, grants: 3, dated: 0, open: 3 }]);
  // They are one row of the person's page.
  const home = await (await visitor.get(`${world.url}/`)).text();
  expect(new Set(home.match(/\/grants\/[\da-f-]{36}/g)).size).toBe(1);
  await send(visitor, address, [
    ["form_token", form_token],
    ["until", new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)],
  ]);
  expect([...(await rows())]).toMatchObject([{ dated: 3, open: 3 }]);
  await send(visitor, `${address}/end`, [["form_token", form_token]]);
  expect([...(await rows())]).toMatchObject([{ open: 0 }]);
  const at = { url: `${world.url}/mcp`, bearer: silent.tokens.access_token };
  await eventually(
    async () => (await post(at.url, at.bearer, toolCall("get_item"))).status === 401,
  );
  const redeemed = await redeem(world.url, { clientId, code: kept, pkce });
  expect([redeemed.status, await redeemed.json()]).toMatchObject([400, { error: "invalid_grant" }]);
}, 20_000);

test("what takes nothing away changes nothing, and says so", async () => {
  await using guarded = await openGuarded({ tools: four });
  const { visitor, address, page, form_token } = await openPermission(guarded.world);
  const tools = [...choices(await page()).values()];
  for (const [day, words] of [
    ["2026-02-30", "There is no such day"],
    ["2001-01-01", "or it is over"],
    ["soon", "There is no such day"],
    ["-000001-01-01", "There is no such day"],
    ["", "You took nothing away"],
  ] as const) {
    const answer = await send(visitor, address, [
      ...keeping(form_token, tools),
      ["only_reading", day === "" ? "no" : "yes"],
      ["until", day],
    ]);
    expect([day, answer.status]).toEqual([day, 400]);
    expect(await answer.text()).toContain(words);
  }
  // What was asked for beside a wrong day was not done either.
  expect([...choices(await page()).keys()].length).toBe(4);
  expect(await page()).toContain('name="only_reading"');
});

test("of more tools than a page can hold the first are shown, and the page says what becomes of the others", async () => {
  const many = Array.from({ length: 401 }, (_, at) =>
    tool(`tool_${String(at).padStart(3, "0")}`, reading),
  );
  await using guarded = await openGuarded({ tools: many });
  const { visitor, at, address, page, form_token } = await openPermission(guarded.world);
  const shown = choices(await page());
  expect([shown.size, (await page()).includes("There are more than 400")]).toEqual([400, true]);
  const nothing = await send(visitor, address, keeping(form_token, [...shown.values()]));
  expect(nothing.status).toBe(400);
  expect((await call(at, "tool_400")).code).toBeUndefined();
  const kept = [...shown.values()].slice(1);
  expect((await send(visitor, address, keeping(form_token, kept))).status).toBe(303);
  expect((await call(at, "tool_400")).code).toBe("tool_refused");
  expect((await call(at, "tool_001")).code).toBeUndefined();
});

test("somebody else's permission is not there, is not changed and does not end", async () => {
  await using guarded = await openGuarded({ tools: four });
  const { world } = guarded;
  const { visitor, at, address, grantId, page } = await openPermission(world);
  const tools = choices(await page());
  const stranger = newVisitor();
  await connectSeller(stranger, { url: world.url, seller: "100200301" });
  const home = await (await stranger.get(`${world.url}/`)).text();
  const { form_token = "" } = formIn(home);
  expect(home).not.toContain(grantId);
  for (const path of ["", "/end"]) {
    expect((await stranger.get(`${address}${path}`)).status).toBe(404);
    expect((await newVisitor().get(`${address}${path}`)).status).toBe(401);
  }
  const posted = await send(stranger, address, keeping(form_token, [tools.get("get_item")]));
  expect(posted.status).toBe(404);
  await stranger.post(`${address}/end`, { form_token });
  expect(await listed(at)).toHaveLength(4);
  const [row] = await world.app.db.execute(sql`select 1 from tool_policies`);
  expect(row).toBeUndefined();
  for (const wrong of ["", "x".repeat(43), form_token]) {
    const refused = await send(visitor, address, keeping(wrong, [tools.get("get_item")]));
    expect(refused.status).toBe(403);
  }
  expect(await listed(at)).toHaveLength(4);
  expect((await visitor.get(`${world.url}/grants/x`)).status).toBe(404);
});

test("the questions before a permission or a session ends say which, and end nothing by themselves", async () => {
  await using world = await openWorld();
  const { visitor, at, address, form_token } = await openPermission(world);
  const home = await (await visitor.get(`${world.url}/`)).text();
  const account = /name="account" value="([^"]+)"/.exec(home)?.[1] ?? "";
  await visitor.post(`${world.url}/sessions`, { form_token, account, platform: "n8n" });
  const path = /action="(\/sessions\/[^"]+\/end)"/.exec(
    await (await visitor.get(`${world.url}/`)).text(),
  )?.[1];
  const session = await (await visitor.get(`${world.url}${path}`)).text();
  expect(session).toContain("The key of n8n for Mercado Libre TIENDA_DEMO (MLA) stops working");
  const question = await (await visitor.get(`${address}/end`)).text();
  expect(question).toContain("Test agent can no longer use Mercado Libre TIENDA_DEMO (MLA)");
  expect((await call(at, "whoami")).status).toBe(200);
  const stranger = newVisitor();
  await connectSeller(stranger, { url: world.url, seller: "100200301" });
  expect((await stranger.get(`${world.url}${path}`)).status).toBe(404);
  expect((await visitor.post(`${address}/end`, { form_token })).status).toBe(303);
  expect((await call(at, "whoami")).status).toBe(401);
  expect((await visitor.get(address)).status).toBe(404);
});

test("of two that narrow the same permission at once both hold", async () => {
  await using world = await openWorld();
  const { db } = world.app;
  const base = { key: "narrowed:x", subject: "grant:x" };
  await saveNarrowing(db, { ...base, allow: null, deny: [] });
  await Promise.all([
    saveNarrowing(db, { ...base, allow: ["a", "b"], deny: [] }),
    saveNarrowing(db, { ...base, allow: ["b", "c"], deny: ["@writing"] }),
  ]);
  await saveNarrowing(db, { ...base, allow: null, deny: ["@writing"] });
  const narrowing = (await narrowingsOf(db, [base.key])).get(base.key);
  expect(narrowing).toMatchObject({ allow: ["b"], deny: ["@writing"] });
  await saveNarrowing(db, { ...base, allow: [], deny: [] });
  expect((await narrowingsOf(db, [base.key])).get(base.key)?.allow).toEqual([]);
});
