import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { createInvite } from "#src/people/sign-up.ts";
import { connectSeller, newVisitor, walkToCallback } from "#test/support/browser-like.ts";
import { openWorld } from "#test/support/world.ts";

const inviting = { environment: { SMARTDASH_SIGNUP: "invite" } };

test("without an invitation nobody new comes in, the first person neither", async () => {
  await using world = await openWorld(inviting);
  const visitor = newVisitor();
  const refused = await visitor.get(await walkToCallback(visitor, { url: world.url }));
  expect(refused.status).toBe(403);
  expect(await refused.text()).toContain("invite_needed");
  const [count] = await world.app.db.execute<{ people: string; accounts: string }>(
    sql`select (select count(*) from people) as people, (select count(*) from accounts) as accounts`,
  );
  expect(count).toEqual({ people: "0", accounts: "0" });
});

test("an invitation lets one person in; opening it uses nothing up, connecting does", async () => {
  await using world = await openWorld(inviting);
  const { url } = await createInvite({ ...world.app, publicUrl: world.url });
  for (let look = 0; look < 2; look++)
    expect((await fetch(url, { redirect: "manual" })).status).toBe(303);
  const invited = newVisitor();
  await invited.get(url);
  await connectSeller(invited, { url: world.url });
  const second = newVisitor();
  expect((await second.get(url)).status).toBe(400);
  await invited.get(url);
  const again = newVisitor();
  for (const [name, value] of invited.cookies) {
    if (name.endsWith("invite")) again.cookies.set(name, value);
  }
  const refused = await again.get(
    await walkToCallback(again, { url: world.url, seller: "100200301" }),
  );
  expect(refused.status).toBe(403);
  // Whoever is known already comes in without one.
  await connectSeller(newVisitor(), { url: world.url });
});

test("two browsers race for one invitation: one comes in", async () => {
  await using world = await openWorld(inviting);
  const { url } = await createInvite({ ...world.app, publicUrl: world.url });
  const callbacks = await Promise.all(
    ["100200300", "100200301"].map(async (seller) => {
      const visitor = newVisitor();
      await visitor.get(url);
      return { visitor, callback: await walkToCallback(visitor, { url: world.url, seller }) };
    }),
  );
  const answers = await Promise.all(
    callbacks.map(async ({ visitor, callback }) => (await visitor.get(callback)).status),
  );
  expect(answers.toSorted((a, b) => a - b)).toEqual([303, 403]);
});

test("an invitation ends after seven days", async () => {
  await using world = await openWorld(inviting);
  const { url } = await createInvite({ ...world.app, publicUrl: world.url });
  await world.app.db.execute(sql`update invites set expires_at = now() - interval '1 second'`);
  expect((await fetch(url, { redirect: "manual" })).status).toBe(400);
});

test("a list lets in the accounts on it and nobody else", async () => {
  await using world = await openWorld({
    environment: { SMARTDASH_SIGNUP: "mercadolibre:100200301" },
  });
  await connectSeller(newVisitor(), { url: world.url, seller: "100200301" });
  const other = newVisitor();
  const refused = await other.get(await walkToCallback(other, { url: world.url }));
  expect(refused.status).toBe(403);
});

test("a pasted key brings nobody new in without an invitation", async () => {
  await using world = await openWorld(inviting);
  const holder = world.sandbox.providers.get("airtable")!.grants.issue({
    id: "100200300",
    name: "TIENDA_DEMO",
    site: "MLA",
  });
  const paste = (more: Record<string, string>) =>
    fetch(`${world.url}/api/auth/direct`, {
      method: "POST",
      body: new URLSearchParams({ api_key: holder.access, provider: "airtable", ...more }),
    });
  expect((await paste({})).status).toBe(403);
  const { url } = await createInvite({ ...world.app, publicUrl: world.url });
  const invited = await paste({ invite: url.split("/").at(-1) ?? "" });
  expect(invited.status).toBe(200);
});
