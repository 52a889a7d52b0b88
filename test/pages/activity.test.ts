import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { agents } from "#db/schema/agents.ts";
import { newId } from "#src/crypto/ids.ts";
import { outcomeOf, outcomes } from "#src/proxy/call-outcome-store.ts";
import { callsOfPerson, queryFor } from "#src/proxy/person-call-store.ts";
import { authorizedAgent } from "#test/support/agent-like.ts";
import { type Visitor, connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { ownerOf, seedCalls } from "./seed.ts";

async function textAt(visitor: Visitor, address: string): Promise<string> {
  return await (await visitor.get(address)).text();
}

/** A person with an agent. */
async function withAgent(world: World, seller?: string) {
  const agent = await authorizedAgent(world.url, seller === undefined ? {} : { seller });
  return { visitor: agent.visitor, ...(await ownerOf(world)) };
}

function minutesAgo({ app }: World, minutes: number): Date {
  return new Date(app.now().getTime() - minutes * 60_000);
}

test("a person sees the calls of their own agents alone, on the page and in the download", async () => {
  await using world = await openWorld();
  const one = await withAgent(world);
  const other = await withAgent(world, "100200301");
  for (const [owner, name] of [
    [one, "first_tool"],
    [other, "second_tool"],
  ] as const) {
    const { personId, accountId, grantId } = owner;
    await seedCalls(world, [{ at: minutesAgo(world, 5), personId, accountId, grantId, name }]);
  }
  for (const path of [
    "/activity",
    "/activity.csv",
    `/activity?agent=grant:${other.policyId}`,
    `/activity.csv?agent=grant:${other.policyId}&all=1`,
    `/activity?tool=second_tool`,
  ]) {
    const text = await textAt(one.visitor, `${world.url}${path}`);
    expect([path, text.includes("<b>second_tool</b>"), text.includes(other.grantId)]).toEqual([
      path,
      false,
      false,
    ]);
    expect(text).not.toContain("LOJA_EXEMPLO");
  }
  expect(await textAt(one.visitor, `${world.url}/activity`)).toContain("<b>first_tool</b>");
  for (const path of ["/activity", "/activity.csv"]) {
    expect((await newVisitor().get(`${world.url}${path}`)).status).toBe(401);
  }
});

test("every filter leaves what it says, and what programs ask by themselves comes when it is asked for", async () => {
  await using world = await openWorld();
  const { visitor, personId, accountId, grantId, policyId } = await withAgent(world);
  const sessionId = newId(world.app.now());
  const base = { personId, accountId, grantId };
  const noon = new Date("2026-03-04T12:00:00Z");
  await seedCalls(world, [
    { ...base, at: minutesAgo(world, 1), name: "went_well" },
    {
      ...base,
      at: minutesAgo(world, 2),
      name: "held_back",
      guard: "tool_held",
      failure: "tool_held",
      status: 403,
    },
    { ...base, at: minutesAgo(world, 3), name: "broke", failure: "upstream_timeout", status: 504 },
    { ...base, at: minutesAgo(world, 4), name: null, rpcMethod: "tools/list" },
    { ...base, at: noon, name: "long_ago" },
    { ...base, at: minutesAgo(world, 6), grantId: null, sessionId, name: "by_session" },
  ]);
  const shown = async (query: string) => {
    const text = await textAt(visitor, `${world.url}/activity?${query}`);
    return [...text.matchAll(/<b>([^<]+)<\/b>/g)].map((match) => match[1]);
  };
  const all = ["went_well", "held_back", "broke", "by_session", "long_ago"];
  expect(await shown("")).toEqual(all);
  expect(await shown("agent=&tool=&day=&outcome=")).toEqual(all);
  expect(await shown("all=1")).toContain("Looked at what there is");
  expect(await shown("outcome=done")).toEqual(["went_well", "by_session", "long_ago"]);
  expect(await shown("outcome=refused")).toEqual(["held_back"]);
  expect(await shown("outcome=failed")).toEqual(["broke"]);
  expect(await shown("tool=broke")).toEqual(["broke"]);
  expect(await shown("day=2026-03-04")).toEqual(["long_ago"]);
  expect(await shown("day=2026-03-05")).toEqual([]);
  expect(await shown(`agent=session:${sessionId}`)).toEqual(["by_session"]);
  expect(await shown(`agent=grant:${policyId}&outcome=done`)).toEqual(["went_well", "long_ago"]);
  expect(await shown(`agent=grant:${"0".repeat(36)}&day=never&outcome=x&before=1`)).toEqual(all);
});

test("a day that was never is no filter", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  for (const day of ["1969-12-31", "0000-01-01", "2026-02-30", "x", "9999-12-31"]) {
    for (const path of ["activity", "activity.csv"]) {
      const { status } = await visitor.get(`${world.url}/${path}?day=${day}`);
      expect([day, path, status]).toEqual([day, path, 200]);
    }
  }
});

test("an outcome means the same for the filter and for the page", async () => {
  await using world = await openWorld();
  const { personId } = await withAgent(world);
  const guards = [null, "approved_once", "rate_limited", "upstream_switched_off"];
  const failures = [null, "client_left", "upstream_timeout"];
  const kinds = guards.flatMap((guard) =>
    failures.flatMap((failure) => [200, 404, 500].map((status) => ({ guard, failure, status }))),
  );
  await seedCalls(
    world,
    kinds.map((kind, index) => ({ ...kind, personId, at: minutesAgo(world, index + 1) })),
  );
  const wanted = { personId, isWhole: false, most: 100 };
  let seen = 0;
  for (const outcome of outcomes) {
    const { rows } = await callsOfPerson(world.app.db, { ...wanted, outcome });
    seen += rows.length;
    expect(rows.filter((row) => outcomeOf(row) !== outcome)).toEqual([]);
  }
  expect(seen).toBe(kinds.length);
});

test("what an agent, a tool or an account is called is text on every page, whatever is in it", async () => {
  await using world = await openWorld();
  const { visitor, personId, accountId, grantId } = await withAgent(world);
  const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`;
  await world.app.db.execute(sql`update grants set client_name = ${evil}`);
  await world.app.db.execute(sql`update accounts set label = ${evil}`);
  await world.app.db
    .execute(sql`insert into tool_definitions (upstream, name, hash, definition, nature, state)
    values ('mercadolibre', ${evil}, 'h', ${JSON.stringify({ name: evil, title: evil })}, 'reading', 'approved')`);
  await world.app.db.insert(agents).values({
    id: newId(world.app.now()),
    clientId: "evil",
    kind: "operator",
    name: evil,
    redirectUris: [],
    grantTypes: [],
    authMethod: "none",
    scope: "",
    accountId,
  });
  const base = { personId, accountId, grantId, name: evil };
  await seedCalls(world, [
    { ...base, at: minutesAgo(world, 1) },
    { ...base, at: minutesAgo(world, 2), upstream: evil },
    { ...base, at: minutesAgo(world, 3), rpcMethod: evil, guard: evil },
    { ...base, at: minutesAgo(world, 4), failure: evil, status: 500 },
  ]);
  const query = new URLSearchParams({ tool: evil, agent: evil, day: evil, all: "1" });
  for (const path of [
    "/",
    "/activity?all=1",
    `/activity?${query.toString()}`,
    `/grants/${grantId}`,
    `/grants/${grantId}/end`,
  ]) {
    const text = await textAt(visitor, `${world.url}${path}`);
    expect([path, text.includes("<script"), text.includes("<img")]).toEqual([path, false, false]);
    expect([path, text.includes("&lt;script&gt;")]).toEqual([path, true]);
  }
});

test("a download has the same calls, and no cell of it is a formula", async () => {
  await using world = await openWorld();
  const { visitor, personId, accountId, grantId } = await withAgent(world);
  const base = { personId, accountId, grantId };
  await world.app.db.execute(sql`update grants set client_name = '=HYPERLINK("http://x","y")'`);
  await seedCalls(world, [
    { ...base, at: minutesAgo(world, 1), name: "@cmd" },
    { ...base, at: minutesAgo(world, 2), name: 'with "quotes", a comma' },
  ]);
  const answer = await visitor.get(`${world.url}/activity.csv`);
  expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  expect(answer.headers.get("content-disposition")).toStartWith("attachment; ");
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  const [head, first, second, ...rest] = (await answer.text()).split("\r\n");
  expect(rest).toEqual([""]);
  expect(head).toStartWith("time,agent,account,server,method,what,tool,outcome,");
  expect(first).toContain(`,"'=HYPERLINK(""http://x"",""y"")",`);
  expect(first).toContain(",tools/call,'@cmd,'@cmd,done,");
  expect(second).toContain(`,"with ""quotes"", a comma",done,`);
});

/** So many calls of one person, and as many of nobody in particular, a second from each other. */
async function seedMany(
  { app }: World,
  owner: { personId: string; grantId: string },
  many: number,
) {
  await app.db.execute(sql`
    with made as (select n, now() - n * interval '1 second' as at from generate_series(1, ${many}::int) n),
    owners as (select ${owner.personId}::uuid as person, ${owner.grantId}::uuid as grant_id, 0 as half
      union all select null, null, 1)
    insert into calls (id, at, person_id, grant_id, request_id, upstream, http_method, rpc_method, name, status, duration_ms, guard)
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(half), 3, '0') || '8' ||
      lpad(to_hex(n), 15, '0'))::uuid, at, person, grant_id, 'r' || n, 'mercadolibre', 'POST',
      case when n % 3 = 0 then 'tools/list' else 'tools/call' end, case when n % 3 = 0 then null else 'list_orders' end, 200, 5,
      case when n % 40000 = 0 then 'rate_limited' end
    from made cross join owners`);
  await app.db.execute(sql`analyze calls`);
}

test("pages walk through every call once, and so does a download up to its end", async () => {
  await using world = await openWorld();
  const { visitor, personId, grantId } = await withAgent(world);
  await seedMany(world, { personId, grantId }, 400);
  const seen: string[] = [];
  let address: string | undefined = `${world.url}/activity?all=1`;
  let pages = 0;
  while (address !== undefined) {
    const text = await textAt(visitor, address);
    seen.push(...[...text.matchAll(/<time datetime="([^"]+)"/g)].map((match) => match[1] ?? ""));
    const older = /href="(\/activity\?[^"]*before=[^"]+)"/
      .exec(text)?.[1]
      ?.replaceAll("&amp;", "&");
    address = older === undefined ? undefined : `${world.url}${older}`;
    pages += 1;
  }
  expect(pages).toBe(8);
  expect(seen).toHaveLength(400);
  expect(seen).toEqual(seen.toSorted().toReversed());
  expect(new Set(seen).size).toBe(400);
  const csv = await textAt(visitor, `${world.url}/activity.csv?all=1`);
  expect(csv.trim().split("\r\n")).toHaveLength(401);
});

test("among 100,000 calls a page comes by the index on person and id, whatever is filtered", async () => {
  await using world = await openWorld();
  const { visitor, personId, grantId, policyId } = await withAgent(world);
  await seedMany(world, { personId, grantId }, 100_000);
  const day = new Date(Math.floor(minutesAgo(world, 0).getTime() / 86_400_000) * 86_400_000);
  for (const filter of [
    { isWhole: true },
    { isWhole: false },
    { isWhole: false, outcome: "refused" as const },
    { isWhole: false, day },
    { isWhole: false, tool: "never_called", agent: `grant:${policyId}` },
    { isWhole: true, before: newId(minutesAgo(world, 60)) },
  ]) {
    const query = queryFor({ personId, most: 50, ...filter });
    const rows = await world.app.db.execute<{ "QUERY PLAN": string }>(sql`explain ${query}`);
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).toContain("calls_person_id");
    expect(plan).not.toMatch(/Seq Scan on calls|calls_pkey|calls_at/);
  }
  // Refused calls are 40,000 apart: what was looked at leads on, page by page.
  const found: string[] = [];
  let next: string | undefined;
  let pages = 0;
  do {
    const wanted = { personId, isWhole: true, outcome: "refused" as const, most: 50, before: next };
    const page = await callsOfPerson(world.app.db, wanted);
    found.push(...page.rows.map(({ requestId }) => requestId));
    next = page.next;
    pages += 1;
  } while (next !== undefined && pages < 10);
  expect(found).toEqual(["r40000", "r80000"]);
  expect(pages).toBe(5);
  const csv = (await textAt(visitor, `${world.url}/activity.csv?all=1`)).trim().split("\r\n");
  expect(csv).toHaveLength(10_002);
  expect(csv.at(-1)).toBe("There is more: filter by day to get what is older");
});
