import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { encode } from "uqr";
import { authorizedAgent } from "#test/support/agent-like.ts";
import { connectSeller, locationOf, newVisitor } from "#test/support/browser-like.ts";
import { openWorld } from "#test/support/world.ts";
import { ownerOf, seedCalls, seedCounts } from "./seed.ts";

test("what wants a person stands first under one heading, and there is none when nothing does", async () => {
  await using world = await openWorld({
    environment: { SMARTDASH_BUDGETS: "agent=100/day,account=1000/day" },
  });
  const { visitor } = await authorizedAgent(world.url);
  const { policyId, accountId, personId } = await ownerOf(world);
  const home = async () => await (await visitor.get(`${world.url}/`)).text();
  expect(await home()).not.toContain("Needs your attention");

  const day = world.app.now().toISOString().slice(0, 10);
  const key = (name: string) => `budget:${name}:day:${day}`;
  const { db } = world.app;
  await db.execute(sql`insert into tallies (key, level, most, expires_at) values
    (${key(`agent:grant:${policyId}`)}, 80, 100, now() + interval '1 day'),
    (${key(`account:${accountId}`)}, 799, 1000, now() + interval '1 day')`);
  await db.execute(sql`update accounts set state = 'reconnect_required'`);
  await db.execute(
    sql`insert into switches (subject, by) values (${`grant:${policyId}`}, 'guard')`,
  );
  await db.execute(sql`
    insert into approvals (id, caller, person_id, agent, upstream, tool, arguments_hash, expires_at)
    values (gen_random_uuid(), ${`grant:${policyId}`}, ${personId}, 'Test agent', 'mercadolibre', 'sell', 'h', now() + interval '1 hour')`);
  const text = await home();
  const order = [
    "Needs your attention",
    "Waiting for your answer",
    "Test agent wants to use sell",
    "Accounts to connect again",
    "Stopped agents",
    "Calls nearly used up",
    "80 of 100",
    "Connected accounts",
    "Agents with your permission",
    "Calls used",
    "799 of 1000",
  ];
  const places = order.map((words) => text.indexOf(words));
  expect(places).not.toContain(-1);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(text.match(/<h2>Needs your attention<\/h2>/g)).toHaveLength(1);
});

test("each account and agent says when it was last used, and draws its last 14 days", async () => {
  await using world = await openWorld();
  const { visitor } = await authorizedAgent(world.url);
  const { grantId, personId, accountId } = await ownerOf(world);
  const home = async () => await (await visitor.get(`${world.url}/`)).text();
  expect((await home()).match(/Not used in the last 30 days/g)).toHaveLength(2);
  expect(await home()).not.toContain('class="chart"');

  const days = Array.from({ length: 20 }, () => [10, 1] as const);
  await seedCounts(world, { caller: `grant:${grantId}`, account: accountId }, days);
  const counted = await home();
  // Today is one of the 14, and nothing was called today.
  expect(counted.match(/<title>14 days: 130 calls, 13 refused<\/title>/g)).toHaveLength(2);
  expect(counted.match(/<g\s/g)).toHaveLength(28);
  const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
  expect(counted).toContain(`datetime="${yesterday}"`);

  const at = new Date(Date.now() - 3 * 3_600_000 - 60_000);
  await seedCalls(world, [{ at, personId, accountId, grantId }]);
  const used = await home();
  expect(used.match(/Last used\s*<time/g)).toHaveLength(2);
  expect(used.match(/3 hours ago/g)).toHaveLength(2);
  expect(used).toContain(`datetime="${at.toISOString()}"`);

  const stranger = newVisitor();
  await connectSeller(stranger, { url: world.url, seller: "100200301" });
  expect(await (await stranger.get(`${world.url}/`)).text()).not.toContain('class="chart"');
});

test("a seller of another country is sent to that country's pages", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  const html = await (await visitor.get(`${world.url}/`, { "accept-language": "pt-BR" })).text();
  expect(html).toContain("Mercado Livre: escolher país");
  const link = /href="([^"]*site=MLB[^"]*)"\s*>Brasil</.exec(html)?.[1]?.replaceAll("&amp;", "&");
  const begun = await visitor.get(`${world.url}${link}`);
  expect(begun.status).toBe(303);
  expect(locationOf(begun)).toStartWith("http");
  const [attempt] = await world.app.db.execute<{ site: string }>(
    sql`select site from connect_attempts`,
  );
  expect(attempt?.site).toBe("MLB");
});

test("the QR code on the page is of the gateway's address and nothing else", async () => {
  await using world = await openWorld();
  const { visitor } = await authorizedAgent(world.url);
  const text = await (await visitor.get(`${world.url}/`)).text();
  const address = `${world.url}/mcp`;
  const [drawn = ""] = /<svg\s+class="qr"[\s\S]*?<\/svg>/.exec(text) ?? [];
  expect(drawn).toContain(`<title>QR code of ${address}</title>`);
  const { size, data } = encode(address, { ecc: "M", border: 4 });
  expect(drawn).toContain(`viewBox="0 0 ${size} ${size}"`);
  const dark = data.flatMap((row, y) =>
    row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h`] : [])),
  );
  expect([...(drawn.match(/M\d+ \d+h/g) ?? [])]).toEqual(dark);
});

test("no link to a client has a bearer in it, beside a bearer or not", async () => {
  await using world = await openWorld();
  const { visitor } = await authorizedAgent(world.url);
  const home = await (await visitor.get(`${world.url}/`)).text();
  const field = (name: string) =>
    new RegExp(`name="${name}" value="([^"]+)"`).exec(home)?.[1] ?? "";
  const form = { form_token: field("form_token"), account: field("account") };
  const minted = await (await visitor.post(`${world.url}/sessions`, form)).text();
  expect(minted).toMatch(/sd_ses_[\w-]{20}/);
  for (const html of [home, minted]) {
    const links = [...html.matchAll(/href="((?:vscode|cursor):[^"]+)"/g)].map(
      ([, href = ""]) => href,
    );
    expect(links.length).toBeGreaterThan(1);
    const opened = links.map(
      (link) =>
        decodeURIComponent(link) +
        Buffer.from(
          /config=([^&]+)/.exec(decodeURIComponent(link))?.[1] ?? "",
          "base64",
        ).toString(),
    );
    expect(opened.filter((link) => /sd_ses|earer|uthorization/.test(link))).toEqual([]);
    expect(opened.filter((link) => !link.includes(`${world.url}/mcp/`))).toEqual([]);
  }
  expect(home).toContain(
    `claude mcp add --transport http mercadolibre ${world.url}/mcp/mercadolibre`,
  );
});
