import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { sellers } from "#src/sandbox/sellers.ts";
import { connectSeller, locationOf, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { newFolder, run } from "./program.ts";
import { runBeside } from "./run.ts";

test("a public gateway that has lost its DATABASE_URL does not begin anew with an empty database", async () => {
  await using home = await newFolder();
  const environment = {
    PUBLIC_URL: "https://mcp.example.com",
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString("base64"),
  };
  const launch = { cwd: home.path, environment };
  for (const command of [["migrate"], ["migrate", "--status"], ["serve"]]) {
    const refused = await run(command, launch);
    expect([command, refused.exit, refused.stderr]).toEqual([
      command,
      2,
      expect.stringContaining("DATABASE_URL is not set, and there is no database"),
    ]);
    expect(existsSync(join(home.path, "data"))).toBe(false);
  }
  const service = { ...environment, SMARTDASH_BUNDLED_DATABASE: "off" };
  expect((await run(["serve", "--migrate"], { cwd: home.path, environment: service })).exit).toBe(
    2,
  );
  // A service may have lost everything else, too.
  const lost = { SMARTDASH_BUNDLED_DATABASE: "off" };
  expect((await run(["serve", "--migrate"], { cwd: home.path, environment: lost })).exit).toBe(2);
  const named = { ...environment, DATABASE_URL: "postgres://localhost/x" };
  const both = await run(["migrate", "--bundled"], { cwd: home.path, environment: named });
  expect([both.exit, both.stderr]).toEqual([
    2,
    expect.stringContaining("DATABASE_URL, which is set"),
  ]);
  // Asked for, it is made; and used from then on.
  expect((await run(["migrate", "--bundled"], launch)).exit).toBe(0);
  expect((await run(["migrate", "--status"], launch)).exit).toBe(0);
}, 60_000);

test("accounts list pages, and says how many more there are; nothing of a table is cut", async () => {
  await using world = await openWorld();
  await connectSeller(newVisitor(), { url: world.url });
  const long = "a".repeat(120);
  await world.app.db.execute(sql`
    insert into accounts (id, person_id, provider, seller_id, kind, state, access_token, refresh_token, last_error)
    select gen_random_uuid(), person_id, 'airtable', ${long} || n, 'oauth', 'reconnect_required', ''::bytea, ''::bytea, 'trouble'
    from accounts, generate_series(1, 6) n`);
  const page = async (number: string) =>
    await runBeside(world, ["accounts", "list", "--limit", "3", "--page", number]);
  const first = await page("1");
  expect(first.stdout.match(/a{120}\d/g)).toHaveLength(3);
  expect(first.stderr).toContain("4 more of 7: --page 2 shows the next.");
  const seen = new Set<string>();
  for (const number of ["1", "2", "3"]) {
    const { json } = await runBeside(world, [
      "accounts",
      "list",
      "--limit",
      "3",
      "--page",
      number,
      "--json",
    ]);
    expect([json["total"], json["page"]]).toEqual([7, Number(number)]);
    for (const { id } of json["accounts"] as { id: string }[]) seen.add(id);
  }
  expect(seen.size).toBe(7);
  const beyond = await page("9");
  expect([beyond.exit, beyond.stdout, beyond.stderr]).toEqual([
    0,
    "",
    expect.stringContaining("7 accounts"),
  ]);
  expect((await page("0")).exit).toBe(2);
});

test("revoke works where the provider is not configured, and says what is left there", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const wanted = ["revoke", "--account", "mercadolibre:100200300", "--yes"];
  const without = { MELI_CLIENT_ID: "", MELI_CLIENT_SECRET: "", MELI_REDIRECT_URI: "" };
  const done = await runBeside(world, wanted, without);
  expect(done.stderr).toContain(
    "Left: its provider is not configured for this command, so the access there was not taken back",
  );
  expect([done.exit, done.stderr]).toEqual([75, expect.stringContaining("Live tokens left: 0")]);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(401);
  const [row] = await world.app.db.execute(
    sql`select state, length(refresh_token) > 0 as is_kept from accounts`,
  );
  // A gateway that is configured takes it back with what is kept.
  expect(row).toEqual({ state: "revoking", is_kept: true });
});

describe("whoever came by a key", () => {
  const key = `pat${"A".repeat(14)}.${"0123456789abcdef".repeat(4)}`;

  /** A call of theirs that waits for a yes, and the link to the question. */
  async function askedAbout(world: World) {
    world.sandbox.providers.get("airtable")?.grants.addKey(key, sellers[0]!);
    const direct = await fetch(`${world.url}/api/auth/direct`, {
      method: "POST",
      body: new URLSearchParams({ api_key: key }),
    });
    const { session_id: bearer } = (await direct.json()) as { session_id: string };
    const at = `${world.url}/mcp/airtable`;
    await (await post(at, bearer, { jsonrpc: "2.0", id: 1, method: "tools/list" })).text();
    const ask = async () =>
      await (await post(at, bearer, toolCall("close_listing", { item_id: "x" }))).text();
    const link = /https?:\/\/[^\s"\\]+\/approvals\/[0-9a-f-]{36}/.exec(await ask())?.[0] ?? "";
    if (link === "") throw new Error(await ask());
    return { ask, link };
  }

  test("can answer an approval by showing the key again", async () => {
    await using world = await openWorld();
    const { ask, link } = await askedAbout(world);
    const visitor = newVisitor();
    const shown = await visitor.get(link);
    expect([shown.status, await shown.text()]).toEqual([
      200,
      expect.stringContaining('name="api_key"'),
    ]);
    for (const wrong of ["", "nonsense", `${key}x`]) {
      expect((await visitor.post(`${link}/key`, { api_key: wrong })).status).toBe(401);
    }
    const signed = await visitor.post(`${link}/key`, { api_key: ` ${key}\n` });
    expect([signed.status, new URL(locationOf(signed), world.url).href]).toEqual([303, link]);
    const page = await (await visitor.get(link)).text();
    expect(page).not.toContain(key);
    const token = /name="form_token" value="([^"]+)"/.exec(page)?.[1] ?? "";
    const answered = await visitor.post(link, { form_token: token, extent: "once" });
    expect(answered.status).toBe(200);
    expect(await ask()).not.toContain("approval_needed");
    // It opens nothing but an open question.
    expect((await newVisitor().post(`${link}/key`, { api_key: key })).status).toBe(401);
    // Guesses are few.
    const statuses = new Set<number>();
    for (let count = 0; count < 12; count += 1) {
      statuses.add((await visitor.post(`${link}/key`, { api_key: "guess" })).status);
    }
    expect(statuses).toContain(429);
  });

  test("cannot reach with it what the person has connected at a provider", async () => {
    await using world = await openWorld();
    const { link } = await askedAbout(world);
    const visitor = newVisitor();
    expect((await visitor.post(`${link}/key`, { api_key: key })).status).toBe(303);
    const lasting = await world.app.db.execute(
      sql`select from sign_ins where expires_at > now() + interval '16 minutes'`,
    );
    expect(lasting.length).toBe(0);
    await connectSeller(newVisitor(), { url: world.url });
    await world.app.db.execute(
      sql`update accounts set person_id = (select person_id from accounts where kind = 'static')`,
    );
    expect((await newVisitor().post(`${link}/key`, { api_key: key })).status).toBe(401);
    expect((await newVisitor().get(link)).status).toBe(401);
  });

  test("is not asked for a key where the account came by OAuth", async () => {
    await using world = await openWorld();
    const visitor = newVisitor();
    const unknown = await visitor.get(`${world.url}/approvals/${crypto.randomUUID()}`);
    expect([unknown.status, await unknown.text()]).toEqual([
      401,
      expect.not.stringContaining("api_key"),
    ]);
  });
});

test("a bearer of another provider's account is told the address that fits", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const answer = await post(`${world.url}/mcp/airtable`, bearer, toolCall("x"));
  expect([answer.status, await answer.text()]).toEqual([
    403,
    expect.stringContaining(`It fits ${world.url}/mcp/mercadolibre`),
  ]);
});
