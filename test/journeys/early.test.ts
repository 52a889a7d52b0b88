import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { readHeld } from "#src/accounts/credential.ts";
import { lifetimes } from "#src/accounts/token-answer.ts";
import { renew } from "#src/accounts/refresh/renew.ts";
import { createLog } from "#src/telemetry/log.ts";
import { keepAlive } from "#src/operations/idle-accounts.ts";
import { refreshDue } from "#src/operations/schedule.ts";
import { addCrowd } from "#test/support/crowd.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { refreshingAs } from "#test/support/refreshing.ts";
import { type World, openWorld } from "#test/support/world.ts";

const tenMinutesMs = 600_000;
const day = 86_400;

function simulated(world: World) {
  const provider = world.sandbox.providers.get("mercadolibre");
  if (provider === undefined) throw new Error("Mercado Libre is simulated");
  return provider;
}

/** What a replica of its own logs. */
async function talkative(world: World) {
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    now: () => new Date(),
    write: (text) => lines.push(text) > 0,
  });
  const replica = await refreshingAs(world, (app) => ({ ...app, log }));
  return {
    app: replica.app,
    lines: () => {
      log.flush();
      return lines.join("");
    },
    [Symbol.asyncDispose]: () => replica[Symbol.asyncDispose](),
  };
}

test("two replicas share what is due, and nothing is asked for twice", async () => {
  await using world = await openWorld({ endsOnReuse: true, tokenMs: 5 });
  await addCrowd(world, 60);
  await world.app.db.execute(sql`update accounts set refresh_from = now()`);
  await using first = await refreshingAs(world);
  await using second = await refreshingAs(world);
  await Promise.all([refreshDue(first.app), refreshDue(second.app)]);
  expect(simulated(world).asked.refresh_token).toBe(60);
  expect(simulated(world).grants.reused()).toBe(0);
  expect(simulated(world).most()).toBeLessThanOrEqual(4);
  const [row] = await world.app.db.execute(
    sql`select count(*)::int as done from accounts where generation = 2 and lease_until is null`,
  );
  expect(row).toEqual({ done: 60 });
});

test("early refreshes are spread, also those of accounts that were connected together", () => {
  const at = new Date("2026-01-01T00:00:00Z");
  const seconds = (jitter: number, accessSeconds: number, refreshSeconds?: number) => {
    const { refreshFrom } = lifetimes({ at, jitter }, { accessSeconds, refreshSeconds });
    return ((refreshFrom?.getTime() ?? 0) - at.getTime()) / 1000;
  };
  // Six hours: ten to fifteen minutes before the end. A minute: six to nine seconds.
  expect([seconds(0, 21_600), seconds(1, 21_600)]).toEqual([21_000, 20_700]);
  expect([seconds(0, 60), seconds(1, 60)]).toEqual([54, 51]);
  // Where both tokens live for 180 days, waiting for the access token's end would be too late.
  expect([seconds(0, 180 * day, 180 * day), seconds(1, 180 * day, 180 * day)]).toEqual([
    150 * day,
    135 * day,
  ]);
  expect(seconds(0, 3600, 60 * day)).toBe(3240);
});

test("an idle connection is called once in a quarter of what its provider allows, by one replica", async () => {
  await using world = await openWorld();
  await newBearer({ url: world.url });
  await newBearer({ url: world.url, seller: "100200301" });
  await world.app.db.execute(
    sql`update accounts set created_at = now() - interval '31 days' where seller_id = '100200300'`,
  );
  await using first = await talkative(world);
  await using second = await talkative(world);
  await Promise.all([keepAlive(first.app), keepAlive(second.app)]);
  await keepAlive(first.app);
  const said = first.lines() + second.lines();
  expect(said.match(/account_kept_alive/g)).toHaveLength(1);
  expect(said).not.toContain("keep_alive_failed");
});

test("a refresh token that ends within seven days is warned of, once a day for all replicas", async () => {
  await using world = await openWorld();
  await newBearer({ url: world.url });
  await newBearer({ url: world.url, seller: "100200301" });
  await world.app.db.execute(sql`update accounts
    set refresh_expires_at = now() + interval '6 days', last_error = 'http_500'
    where seller_id = '100200300'`);
  await using first = await talkative(world);
  await using second = await talkative(world);
  await Promise.all([keepAlive(first.app), keepAlive(second.app)]);
  await keepAlive(first.app);
  const said = first.lines() + second.lines();
  expect(said.match(/refresh_token_lapses/g)).toHaveLength(1);
  expect(said).toContain('"code":"http_500"');
  await world.app.db.execute(
    sql`update accounts set lapse_warned_at = now() - interval '25 hours'`,
  );
  await keepAlive(second.app);
  expect((first.lines() + second.lines()).match(/refresh_token_lapses/g)).toHaveLength(2);
});

for (const [words, aheadMs] of [
  ["ten minutes ahead", tenMinutesMs],
  ["ten minutes behind", -tenMinutesMs],
] as const) {
  test(`a replica whose clock is ${words} agrees with the others about every date`, async () => {
    await using world = await openWorld();
    const bearer = await newBearer({ url: world.url });
    await using odd = await refreshingAs(world, (app) => ({
      ...app,
      now: () => new Date(Date.now() + aheadMs),
    }));
    const [row] = await world.app.db.execute<{ id: string }>(sql`select id from accounts`);
    const known = await readHeld(odd.app, row?.id ?? "");
    if (known === undefined) throw new Error("there is an account");
    const leftMs = known.expiresAt - odd.app.now().getTime();
    expect(Math.abs(leftMs - 3_600_000)).toBeLessThan(10_000);

    // What it stores lives as long as the provider said, for everybody.
    await renew(odd.app, known, { requestId: "test" });
    const [stored] = await world.app.db.execute<{ left: number }>(
      sql`select extract(epoch from access_expires_at - now())::int as left from accounts`,
    );
    expect(Math.abs((stored?.left ?? 0) - 3600)).toBeLessThan(10);

    // What it puts off is put off by two seconds, not by ten minutes.
    simulated(world).faults.push({ kind: "status", status: 500 });
    const newer = await readHeld(odd.app, row?.id ?? "");
    if (newer !== undefined)
      await renew(odd.app, newer, { requestId: "test" }).catch(() => undefined);
    simulated(world).grants.expireAccess();
    const busy = await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
    expect(busy.status).toBe(503);
    expect(Number(busy.headers.get("retry-after"))).toBeLessThan(5);
  });
}
