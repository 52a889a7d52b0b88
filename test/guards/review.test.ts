import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { hash } from "node:crypto";
import { createOperatorLink } from "#src/people/operators.ts";
import { saveDefinitions } from "#src/policy/tools/store.ts";
import { runBeside } from "#test/cli/run.ts";
import { formIn } from "#test/support/agent-like.ts";
import { locationOf, newVisitor } from "#test/support/browser-like.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { call, eventually, listed, openGuarded, tool } from "./setup.ts";

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
  // What shows a preview of a link opens it too, and uses nothing up.
  for (const method of ["HEAD", "GET"]) expect((await fetch(link, { method })).status).toBe(200);
  const opened = await operator.post(link, {});
  expect([opened.status, locationOf(opened)]).toEqual([303, "/review"]);
  const review = `${world.url}/review`;
  const page = await (await operator.get(review)).text();
  expect(page).toContain("mercadolibre/steady");
  expect(page).toContain("-   &quot;description&quot;: &quot;Does steady&quot;");
  expect(page).toContain(String.raw`&lt;/script&gt;\u{202e}`);
  expect(page).not.toContain("<script>");

  const { form_token = "" } = formIn(page);
  const hashes = [...page.matchAll(/name="hash" value="(\w{64})"/g)].map(([, hash = ""]) => hash);
  const names = [...page.matchAll(/mercadolibre\/(\w+)\s+</g)].map(([, name]) => name);
  expect(names).toEqual(["fresh", "odd", "steady"]);
  const decide = (state: string, hash = "") =>
    operator.post(review, { form_token, upstream: "mercadolibre", hash, state });
  expect((await decide("approved", hashes[0])).status).toBe(303);
  expect((await decide("held", hashes[1])).status).toBe(303);
  expect((await decide("anything", hashes[2])).status).toBe(403);
  // Somebody else was faster.
  for (const [state, hash] of [
    ["held", hashes[0]],
    ["approved", hashes[1]],
    ["approved", "0".repeat(64)],
  ] as const) {
    const answer = await decide(state, hash);
    expect([answer.status, await answer.text()]).toEqual([
      409,
      expect.stringContaining("definition_decided"),
    ]);
  }
  const rest = await (await operator.get(review)).text();
  expect(rest).toContain("mercadolibre/steady");
  expect(rest).not.toMatch(/mercadolibre\/(fresh|odd)/);
  await eventually(async () => (await listed(guarded)).includes("fresh"));
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
  await operator.post(link, {});
  const page = await (await operator.get(review)).text();
  const { form_token = "", hash: digest = "" } = formIn(page);
  const form = { upstream: "mercadolibre", hash: digest, state: "approved" };

  const stranger = newVisitor();
  for (const answer of [
    await stranger.get(link),
    await stranger.post(link, {}),
    await stranger.post(`${world.url}/review/sd_rev_x`, {}),
    await stranger.get(review),
    await stranger.post(review, { ...form, form_token }),
  ]) {
    expect([answer.status, await answer.text()]).toEqual([
      403,
      expect.stringContaining("review_link_needed"),
    ]);
  }
  for (const token of [undefined, "x".repeat(form_token.length)]) {
    const answer = await operator.post(review, {
      ...form,
      ...(token === undefined ? {} : { form_token: token }),
    });
    expect([answer.status, await answer.text()]).toEqual([
      403,
      expect.stringContaining("form_refused"),
    ]);
  }
  // A link is no cookie, and a cookie is no link.
  const cookie = operator.cookies.get("__Host-smartdash-review") ?? "";
  expect((await stranger.post(`${review}/${cookie}`, {})).status).toBe(403);
  const late = await reviewLink(world);
  stranger.cookies.set("__Host-smartdash-review", late.split("/").at(-1) ?? "");
  expect((await stranger.get(review)).status).toBe(403);

  const lives = await world.app.db.execute(sql`
    select kind, round(extract(epoch from expires_at - now()) / 60)::int as minutes from review_keys order by kind`);
  expect([...lives]).toEqual([
    { kind: "console_browser", minutes: 60 },
    { kind: "console_link", minutes: 10 },
  ]);
  await world.app.db.execute(sql`update review_keys set expires_at = now() - interval '1 second'`);
  expect((await newVisitor().post(late, {})).status).toBe(403);
  expect((await operator.get(review)).status).toBe(403);
  expect((await operator.post(review, { ...form, form_token })).status).toBe(403);
  expect(await listed(guarded)).toEqual([]);
}, 30_000);

test("an upstream with very many new definitions does not hide those of another", async () => {
  await using world = await openWorld();
  const { app, url } = world;
  const definitionOf = (name: string) => {
    const definition = JSON.stringify({ name });
    return { name, hash: hash("sha256", name, "hex"), definition, nature: "reading" as const };
  };
  for (const [upstream, count] of [
    ["airtable", 300],
    ["mercadolibre", 1],
  ] as const) {
    const list = { upstream, isLast: true, isTrusting: false };
    await saveDefinitions(app.db, { ...list, definitions: [definitionOf("first")] });
    const definitions = Array.from({ length: count }, (_, at) => definitionOf(`new_${at}`));
    await saveDefinitions(app.db, { ...list, definitions });
  }
  const operator = newVisitor();
  await operator.post(
    (await createOperatorLink({ ...app, publicUrl: url }, { page: "review" })).url,
    {},
  );
  const page = await (await operator.get(`${url}/review`)).text();
  expect(page.match(/airtable\/new_/g)).toHaveLength(20);
  expect(page).toContain("mercadolibre/new_0");
  expect(page).toContain("280 more");
});
