import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { readHeld } from "#src/accounts/credential.ts";
import { isRestored, renew } from "#src/accounts/refresh/renew.ts";
import { closeSession } from "#src/oauth-server/sessions/store.ts";
import { sessions } from "#db/schema/agents.ts";
import { runBeside } from "#test/cli/run.ts";
import { saveRefreshed } from "#src/accounts/refresh/store.ts";
import { accountById } from "#src/accounts/store.ts";
import type { Fault } from "#src/sandbox/faults.ts";
import { connectSeller, mintBearer, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { startServe } from "#test/support/process.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { refreshingAs } from "#test/support/refreshing.ts";
import { type World, openWorld } from "#test/support/world.ts";

function simulated(world: World, name = "mercadolibre") {
  const provider = world.sandbox.providers.get(name);
  if (provider === undefined) throw new Error(`${name} is simulated`);
  return provider;
}

async function accountIn(world: World) {
  const [row] = await world.app.db.execute(sql`select * from accounts`);
  return row ?? {};
}

async function eventsIn(world: World): Promise<string[]> {
  const rows = await world.app.db.execute<{ event: string }>(
    sql`select event from refresh_events order by at, id`,
  );
  return rows.map(({ event }) => event);
}

test("a dead access token is renewed once and nobody notices", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  simulated(world).grants.expireAccess();
  const answer = await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
  expect(await answer.text()).toContain("TIENDA_DEMO");
  expect(simulated(world).asked.refresh_token).toBe(1);
  expect(await eventsIn(world)).toEqual(["refresh_start", "refresh_success"]);
  expect(await accountIn(world)).toMatchObject({
    generation: 2,
    state: "active",
    lease_until: null,
  });
});

test("forty calls that meet a dead credential share one refresh", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  simulated(world).grants.expireAccess();
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, id) =>
      post(`${world.url}/mcp`, bearer, toolCall("whoami", {}, id)),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 200));
  expect(simulated(world).asked.refresh_token).toBe(1);
});

test("200 calls on two gateway processes that meet a dead token: one refresh, 200 answers", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  await using first = await startServe(world.environment);
  await using second = await startServe(world.environment);
  for (const { url } of [first, second]) {
    expect((await post(`${url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  }
  for (let round = 1; round <= 3; round++) {
    simulated(world).grants.expireAccess();
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, id) =>
        post(`${(id % 2 === 0 ? first : second).url}/mcp`, bearer, toolCall("whoami", {}, id)),
      ),
    );
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    expect(texts.filter((text) => text.includes("TIENDA_DEMO"))).toHaveLength(200);
    expect(simulated(world).asked.refresh_token).toBe(round);
  }
}, 60_000);

test("an upstream that keeps refusing gets one refresh and one retry, and then never a loop", async () => {
  await using upstream = scriptedUpstream(
    () => new Response("no", { status: 401, headers: { "www-authenticate": "Bearer evil" } }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const answer = await post(`${world.url}/mcp`, bearer, toolCall("whoami", {}, 5));
  expect(answer.status).toBe(200);
  expect(answer.headers.get("www-authenticate")).toBeNull();
  const [account] = await world.app.db.execute<{ id: string }>(sql`select id from accounts`);
  const link = `${world.url}/accounts/${account?.id}/reconnect`;
  expect(await answer.json()).toMatchObject({
    id: 5,
    result: {
      isError: true,
      content: [{ type: "text", text: expect.stringContaining(link) }],
      _meta: { "smartdash/failure": { code: "reconnect_needed", url: link } },
    },
  });
  expect(upstream.seen).toHaveLength(2);
  await Promise.all(
    Array.from({ length: 10 }, () => post(`${world.url}/mcp`, bearer, toolCall("whoami"))),
  );
  expect(simulated(world).asked.refresh_token).toBe(1);
});

test("invalid_grant for the current generation asks for reconnecting and keeps the row", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const bearer = await mintBearer(visitor, world.url);
  simulated(world).grants.revoke("100200300");
  for (let call = 0; call < 3; call++) {
    const answer = await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain("reconnect_needed");
  }
  expect(simulated(world).asked.refresh_token).toBe(1);
  expect(await accountIn(world)).toMatchObject({
    state: "reconnect_required",
    last_error: "invalid_grant",
  });
  await connectSeller(visitor, { url: world.url });
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  expect(await accountIn(world)).toMatchObject({ state: "active", last_error: null });
});

test("invalid_grant for a generation that was replaced meanwhile is no verdict", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const bearer = await mintBearer(visitor, world.url);
  simulated(world).grants.expireAccess();
  simulated(world).faults.push({ kind: "slow", ms: 400 });
  const call = post(`${world.url}/mcp`, bearer, toolCall("whoami"));
  while (simulated(world).asked.refresh_token === 0) await Bun.sleep(5);
  simulated(world).grants.revoke("100200300");
  await connectSeller(visitor, { url: world.url });
  expect((await call).status).toBe(200);
  expect(await accountIn(world)).toMatchObject({ state: "active" });
});

const passing: readonly { readonly name: string; readonly fault: Fault; readonly code: string }[] =
  [
    {
      name: "429 as plain text",
      fault: { kind: "plain", status: 429, text: "local_rate_limited" },
      code: "http_429",
    },
    { name: "a 5xx", fault: { kind: "status", status: 503 }, code: "down" },
    { name: "a firewall's page", fault: { kind: "firewall_page" }, code: "http_403" },
    {
      name: "half an answer",
      fault: { kind: "plain", status: 200, text: '{"access_token":"APP_US' },
      code: "http_200",
    },
    {
      name: "a coded error that is not final",
      fault: { kind: "status", status: 400, body: { error: "temporarily_unavailable" } },
      code: "temporarily_unavailable",
    },
  ];

for (const { name, fault, code } of passing) {
  test(`${name} is not final: 503 with Retry-After, the account stays, the next try works`, async () => {
    await using world = await openWorld();
    const bearer = await newBearer({ url: world.url });
    simulated(world).grants.expireAccess();
    simulated(world).faults.push(fault);
    const busy = await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
    expect(busy.status).toBe(503);
    expect(Number(busy.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await accountIn(world)).toMatchObject({
      state: "active",
      failures: 1,
      last_error: code,
    });
    const asked = simulated(world).asked.refresh_token;
    expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(503);
    expect(simulated(world).asked.refresh_token).toBe(asked);
    await world.app.db.execute(sql`update accounts set retry_at = now() - interval '1 second'`);
    await Bun.sleep(1);
    expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
    expect(await accountIn(world)).toMatchObject({ state: "active", failures: 0 });
  });
}

test("Retry-After of the provider is kept to", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  simulated(world).grants.expireAccess();
  simulated(world).faults.push({ kind: "status", status: 429, retryAfter: 120 });
  const busy = await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
  expect(Number(busy.headers.get("retry-after"))).toBeGreaterThan(100);
});

test("a provider that hangs is left after the limit, and the account is kept", async () => {
  await using world = await openWorld({ environment: { PROVIDER_TIMEOUT_MS: "300" } });
  const bearer = await newBearer({ url: world.url });
  simulated(world).grants.expireAccess();
  simulated(world).faults.push({ kind: "hang" });
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(503);
  expect(await accountIn(world)).toMatchObject({ state: "active", last_error: "timeout" });
});

for (const error of ["invalid_client", "unauthorized_application"]) {
  test(`${error} is about us, not about the account`, async () => {
    await using world = await openWorld();
    const bearer = await newBearer({ url: world.url });
    simulated(world).grants.expireAccess();
    simulated(world).faults.push({
      kind: "status",
      status: 400,
      body: { error, message: "blocked" },
    });
    const answer = await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
    expect(await answer.json()).toMatchObject({
      error: { data: { code: "provider_refuses_application" } },
    });
    expect(await accountIn(world)).toMatchObject({ state: "active", last_error: error });
  });
}

test("Airtable's 409 is read as somebody else's refresh", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url, provider: "airtable" });
  simulated(world, "airtable").grants.expireAccess();
  simulated(world, "airtable").faults.push({
    kind: "status",
    status: 409,
    body: { error: "recently_refreshed" },
  });
  expect((await post(`${world.url}/mcp/airtable`, bearer, toolCall("whoami"))).status).toBe(503);
  expect(await accountIn(world)).toMatchObject({ state: "active", generation: 1 });
});

test("an answer without expires_in takes the profile's lifetime", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  simulated(world).grants.expireAccess();
  simulated(world).faults.push({ kind: "no_expires_in" });
  await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
  const [row] = await world.app.db.execute<{ left: number }>(
    sql`select round(extract(epoch from access_expires_at - now()))::int as left from accounts`,
  );
  expect(row?.left).toBeGreaterThan(10_700);
});

test("the old refresh token is gone, the new one is stored before the call goes on", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const before = await accountIn(world);
  simulated(world).grants.expireAccess();
  await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
  const after = await accountIn(world);
  expect(
    Buffer.from(after["refresh_token"] as Uint8Array).equals(
      Buffer.from(before["refresh_token"] as Uint8Array),
    ),
  ).toBe(false);
  for (let round = 0; round < 5; round++) {
    simulated(world).grants.expireAccess();
    expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  }
  expect(simulated(world).asked.refresh_token).toBe(6);
});

test("a token that is about to end is renewed beside the call, which does not wait", async () => {
  await using world = await openWorld({ accessSeconds: 60 });
  const bearer = await newBearer({ url: world.url });
  await world.app.db.execute(
    sql`update accounts set access_expires_at = now() + interval '2 seconds', refresh_from = now()`,
  );
  await Bun.sleep(1);
  simulated(world).faults.push({ kind: "slow", ms: 1500 });
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  expect(await accountIn(world)).toMatchObject({ generation: 1 });
  for (let attempt = 0; (await accountIn(world))["generation"] === 1 && attempt < 100; attempt++)
    await Bun.sleep(20);
  expect(await accountIn(world)).toMatchObject({ generation: 2 });
});

test("the schedule renews what nobody uses, and only what is due", async () => {
  await using world = await openWorld();
  await newBearer({ url: world.url });
  await newBearer({ url: world.url, seller: "100200301" });
  await world.app.db.execute(
    sql`update accounts set access_expires_at = now() + interval '10 seconds', refresh_from = now() where seller_id = '100200300'`,
  );
  const { refreshDue } = await import("#src/operations/schedule.ts");
  await using first = await refreshingAs(world);
  await using second = await refreshingAs(world);
  await Promise.all([refreshDue(first.app), refreshDue(second.app)]);
  expect(simulated(world).asked.refresh_token).toBe(1);
  const rows = await world.app.db.execute<{ seller_id: string; generation: number }>(
    sql`select seller_id, generation from accounts order by seller_id`,
  );
  expect(rows.map(({ generation }) => generation)).toEqual([2, 1]);
});

test("a lease that its holder never gave back is taken over after its end", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  simulated(world).grants.expireAccess();
  await world.app.db.execute(
    sql`update accounts set lease_holder = gen_random_uuid(), lease_until = now() + interval '1 second'`,
  );
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  expect(simulated(world).asked.refresh_token).toBe(1);
});

test("a credential sealed with a key that is gone says so, and is kept", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const other = Buffer.alloc(32, 9).toString("base64");
  await using stranger = await startServe({
    ...world.environment,
    ENCRYPTION_KEY: other,
    LOG_LEVEL: "error",
  });
  const answer = await post(`${stranger.url}/mcp`, bearer, toolCall("whoami"));
  expect(answer.status).toBe(500);
  expect(await answer.text()).toContain("credential_unreadable");
  await using both = await startServe({
    ...world.environment,
    ENCRYPTION_KEY: `${other},${world.environment["ENCRYPTION_KEY"]}`,
  });
  expect((await post(`${both.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
});

test("an answer that somebody stores between our lease and our question is used, and nothing is asked", async () => {
  await using world = await openWorld({ endsOnReuse: true });
  await newBearer({ url: world.url });
  const [row] = await world.app.db.execute<{ id: string }>(sql`select id from accounts`);
  await using replica = await refreshingAs(world);
  const known = await readHeld(replica.app, row?.id ?? "");
  const account = await accountById(world.app.db, row?.id ?? "");
  if (known === undefined || account === undefined) throw new Error("there is an account");
  const app = {
    ...replica.app,
    atStep: async (step: string) => {
      if (step === "intent_committed") await saveRefreshed(world.app.db, account, account);
    },
  };
  const renewed = await renew(app, known, { requestId: "test" });
  expect(renewed.generation).toBe(2);
  expect(simulated(world).asked.refresh_token).toBe(0);
  expect(await eventsIn(world)).toEqual([]);
});

test("a generation that is newer than what was read a moment ago is no restored database", async () => {
  await using world = await openWorld();
  await newBearer({ url: world.url });
  const [row] = await world.app.db.execute<{ id: string }>(sql`select id from accounts`);
  await using replica = await refreshingAs(world);
  const account = await accountById(world.app.db, row?.id ?? "");
  if (account === undefined) throw new Error("there is an account");
  await saveRefreshed(world.app.db, account, account);
  replica.app.journal.marks.saw({ id: account.id, generation: 2 });
  expect(await isRestored(replica.app, { id: account.id, generation: 1 })).toBe(false);
  expect(await accountIn(world)).toMatchObject({ state: "active", generation: 2 });
});

async function endSessions({ app }: World): Promise<void> {
  for (const { id, personId } of await app.db.select().from(sessions)) {
    await closeSession(app.db, { id, personId }, app.now());
  }
}

test.each([
  ["its tool was switched off", "tool:mercadolibre/danger", "switched_off"],
  ["its upstream was switched off", "mercadolibre", "upstream_switched_off"],
  ["its session has ended", undefined, "bearer_invalid"],
] as const)(
  "a call that waited for a renewal is not sent again when %s meanwhile",
  async (_, subject, code) => {
    const refused = Promise.withResolvers<void>();
    let sent = 0;
    await using upstream = scriptedUpstream(() => {
      sent += 1;
      if (sent !== 1) return Response.json({ jsonrpc: "2.0", id: 1, result: {} });
      refused.resolve();
      return new Response(null, { status: 401 });
    });
    await using world = await openWorld({ environment: pointedAt(upstream.url) });
    const bearer = await newBearer({ url: world.url });
    simulated(world).faults.push({ kind: "slow", ms: 4000 });
    const waiting = post(`${world.url}/mcp`, bearer, toolCall("danger", {}, 77));
    await refused.promise;
    if (subject !== undefined) await runBeside(world, ["switch", "off", subject]);
    else await endSessions(world);
    // The gateway has heard of it.
    while ((await post(`${world.url}/mcp`, bearer, toolCall("danger"))).status === 200)
      await Bun.sleep(20);
    const answer = await waiting;
    expect(await answer.text()).toContain(code);
    expect(upstream.seen.filter(({ body }) => body.includes(":77"))).toHaveLength(1);
  },
);
