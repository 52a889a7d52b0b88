import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { runBeside } from "#test/cli/run.ts";
import { formIn } from "#test/support/agent-like.ts";
import { locationOf, newVisitor } from "#test/support/browser-like.ts";
import { type World } from "#test/support/world.ts";
import { call, listed, openGuarded, tool } from "./setup.ts";

async function reviewLink(world: World): Promise<string> {
  const { json } = await runBeside(world, ["tools", "review", "--json"]);
  return (json as { url: string }).url;
}

test("an operator's link opens the page of held definitions once, and each button decides about what it shows", async () => {
  await using guarded = await openGuarded({ tools: [tool("steady")] });
  const { world, offer } = guarded;
  await listed(guarded);
  offer.tools = [
    tool("steady", undefined, 'Now <script>alert("x")</script>\u202E'),
    tool("fresh"),
    tool("odd"),
  ];
  expect(await listed(guarded)).toEqual([]);

  const link = await reviewLink(world);
  expect(link).toMatch(/\/review\/sd_rev_[\w-]{43}$/);
  const operator = newVisitor();
  const opened = await operator.get(link);
  expect([opened.status, locationOf(opened)]).toEqual([303, "/review"]);
  const review = `${world.url}/review`;
  const page = await (await operator.get(review)).text();
  expect(page).toContain("mercadolibre/steady");
  expect(page).toContain("-   &quot;description&quot;: &quot;Does steady&quot;");
  expect(page).toContain(String.raw`&lt;/script&gt;\u{202e}`);
  expect(page).not.toContain("<script>");

  const { form_token = "" } = formIn(page);
  const hashes = [...page.matchAll(/name="hash" value="(\w{64})"/g)].map(([, hash = ""]) => hash);
  const names = [...page.matchAll(/mercadolibre\/(\w+) </g)].map(([, name]) => name);
  expect(names).toEqual(["fresh", "odd", "steady"]);
  const decide = (state: string, hash = "") =>
    operator.post(review, { form_token, upstream: "mercadolibre", hash, state });
  expect((await decide("approved", hashes[0])).status).toBe(303);
  expect((await decide("held", hashes[1])).status).toBe(303);
  expect((await decide("anything", hashes[2])).status).toBe(403);
  const rest = await (await operator.get(review)).text();
  expect(rest).toContain("mercadolibre/steady");
  expect(rest).not.toMatch(/mercadolibre\/(fresh|odd)/);
  await Bun.sleep(1500);
  expect(await listed(guarded)).toEqual(["fresh"]);
  expect((await call(guarded, "odd")).code).toBe("tool_held");
}, 30_000);

test("nobody else gets at the page: a used or late link, another browser, a form without its token", async () => {
  await using guarded = await openGuarded({ tools: [tool("steady")] });
  const { world, offer } = guarded;
  await listed(guarded);
  offer.tools = [tool("fresh")];
  await listed(guarded);
  const review = `${world.url}/review`;
  const operator = newVisitor();
  const link = await reviewLink(world);
  await operator.get(link);
  const page = await (await operator.get(review)).text();
  const { form_token = "", hash = "" } = formIn(page);
  const form = { upstream: "mercadolibre", hash, state: "approved" };

  const stranger = newVisitor();
  for (const answer of [
    await stranger.get(link),
    await stranger.get(`${world.url}/review/sd_rev_x`),
    await stranger.get(review),
    await stranger.post(review, { ...form, form_token }),
  ]) {
    expect([answer.status, await answer.text()]).toEqual([
      403,
      expect.stringContaining("review_link_needed"),
    ]);
  }
  const without = await operator.post(review, form);
  expect([without.status, await without.text()]).toEqual([
    403,
    expect.stringContaining("form_refused"),
  ]);
  // A link is no cookie, and a cookie is no link.
  const cookie = operator.cookies.get("__Host-smartdash-review") ?? "";
  expect((await stranger.get(`${review}/${cookie}`)).status).toBe(403);
  const late = await reviewLink(world);
  stranger.cookies.set("__Host-smartdash-review", late.split("/").at(-1) ?? "");
  expect((await stranger.get(review)).status).toBe(403);

  await world.app.db.execute(sql`update review_keys set expires_at = now() - interval '1 second'`);
  expect((await newVisitor().get(late)).status).toBe(403);
  expect((await operator.get(review)).status).toBe(403);
  expect((await operator.post(review, { ...form, form_token })).status).toBe(403);
  expect(await listed(guarded)).toEqual([]);
}, 30_000);
