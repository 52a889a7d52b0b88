import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { addRobot } from "#test/support/robot.ts";
import { newToken } from "#src/crypto/secret.ts";
import { createInvite } from "#src/people/sign-up.ts";
import { authorizedAgent, tokenRequest } from "#test/support/agent-like.ts";
import { until } from "#test/support/until.ts";
import { openWorld } from "#test/support/world.ts";

const invited = { SMARTDASH_SIGNUP: "invite", CLIENT_ADDRESS_HEADER: "X-Real-IP" };

function paste(url: string, fields: Record<string, string>, address: string): Promise<Response> {
  return fetch(`${url}/api/auth/direct`, {
    method: "POST",
    body: new URLSearchParams(fields),
    headers: { "x-real-ip": address },
  });
}

const key = `pat${"a".repeat(14)}.${"0".repeat(64)}`;

test("DoS-5: keys are let through by address and in all, and an invitation is looked at before a provider is asked", async () => {
  await using world = await openWorld({ environment: invited });
  const provider = world.sandbox.providers.get("airtable");
  const asked = () => provider?.asked.identity ?? 0;
  const before = asked();
  const wrong = await paste(
    world.url,
    { api_key: key, invite: newToken("invite").reveal() },
    "192.0.2.1",
  );
  expect([wrong.status, (await wrong.json()) as object]).toMatchObject([
    400,
    { error: "invite_unknown" },
  ]);
  expect(asked()).toBe(before);
  // Without one, as a seller who comes back: four at once.
  const statuses = [];
  for (let count = 0; count < 6; count += 1) {
    statuses.push((await paste(world.url, { api_key: key }, "192.0.2.2")).status);
  }
  expect(statuses.slice(4)).toEqual([429, 429]);
  expect(statuses.slice(0, 4)).not.toContain(429);
  expect(asked()).toBe(before + 4);
  // With one: ten, whatever port the proxy names.
  const { url } = await createInvite(world.app);
  const invite = url.split("/").at(-1) ?? "";
  const more = [];
  for (let count = 0; count < 12; count += 1) {
    more.push(
      (await paste(world.url, { api_key: key, invite }, `192.0.2.3:${4000 + count}`)).status,
    );
  }
  expect(more.indexOf(429)).toBe(10);
  // Of all addresses together.
  const crowd = [];
  for (let count = 0; count < 70; count += 1) {
    crowd.push((await paste(world.url, { api_key: key, invite }, `192.0.2.${10 + count}`)).status);
  }
  expect(crowd).toContain(429);
  expect(crowd.indexOf(429)).toBeGreaterThan(40);
});

test("DoS-5: whoever proves themselves rightly passes, however many wrong proofs come from the same address", async () => {
  await using world = await openWorld();
  const agent = await authorizedAgent(world.url);
  const guess = () =>
    fetch(`${world.url}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa("agent_x:guess")}` },
      body: new URLSearchParams({ grant_type: "client_credentials" }),
    }).then(({ status }) => status);
  await Promise.all(Array.from({ length: 400 }, guess));
  expect(await until(async () => (await guess()) === 429, "the gate is closed")).toBe(true);
  // While more of them come.
  const flood = Array.from({ length: 100 }, guess);
  const { status } = await tokenRequest(world.url, {
    grant_type: "refresh_token",
    client_id: agent.clientId,
    refresh_token: agent.tokens.refresh_token,
  });
  expect(status).toBe(200);
  // The gate lets one more be told each second.
  const told = (await Promise.all(flood)).filter((each) => each !== 429);
  expect(told.length).toBeLessThan(20);
});

test("DoS-5: an agent that is known here waits for nobody who holds the database up", async () => {
  await using world = await openWorld();
  const agent = await authorizedAgent(world.url);
  const robot = await addRobot(world.app, {
    account: (await world.app.db.execute<{ id: string }>(sql`select id from accounts`))[0]?.id,
  });
  const basic = `${robot.clientId}:${robot.secret?.reveal() ?? ""}`;
  const issued = async (secret = basic) => {
    const headers = { authorization: `Basic ${btoa(secret)}` };
    return (await tokenRequest(world.url, { grant_type: "client_credentials" }, headers)).status;
  };
  expect(await issued()).toBe(200);
  const held = Promise.withResolvers<void>();
  const isLocked = Promise.withResolvers<void>();
  const locking = world.database.open.sql.begin(async (transaction) => {
    await transaction`lock table refresh_tokens in access exclusive mode`;
    isLocked.resolve();
    await held.promise;
  });
  await isLocked.promise;
  const refreshing = Array.from({ length: 40 }, () =>
    tokenRequest(world.url, {
      grant_type: "refresh_token",
      client_id: agent.clientId,
      refresh_token: agent.tokens.refresh_token,
    }),
  );
  const areWaiting = async () => {
    const [row] = await world.database.open.sql<{ count: number }[]>`
      select count(*)::int from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
    return (row?.count ?? 0) > 0;
  };
  expect(await until(areWaiting, "the database holds them up")).toBe(true);
  try {
    expect(await issued()).toBe(200);
  } finally {
    held.resolve();
    await locking;
    await Promise.all(refreshing);
  }
  expect(await issued(`${robot.clientId}:another`)).toBe(401);
}, 30_000);
