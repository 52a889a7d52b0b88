import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { leaseRefresh, requireReconnect, saveRefreshed } from "#src/accounts/refresh/store.ts";
import { accountById } from "#src/accounts/store.ts";
import { sellers } from "#src/sandbox/sellers.ts";
import {
  connectSeller,
  locationOf,
  newBearer,
  newVisitor,
  walkToCallback,
} from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { startServe } from "#test/support/process.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

const ok = () => Response.json({ jsonrpc: "2.0", id: 1, result: {} });

test("names that PostgreSQL cannot store do not stop the audit trail", async () => {
  await using upstream = scriptedUpstream(ok);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const names = ["nul\u0000byte", `${"x".repeat(199)}😀`, "plain"];
  for (const name of names)
    await post(`${world.url}/mcp`, bearer, { ...toolCall("x"), method: name });
  // A stop because of such a tool could not be stored either.
  const refused = await post(`${world.url}/mcp`, bearer, toolCall("nul\u0000byte"));
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain("message_invalid");
  let rows: readonly { name: string }[] = [];
  for (let attempt = 0; rows.length < 3 && attempt < 60; attempt++) {
    rows = await world.app.db.execute<{ name: string }>(
      sql`select rpc_method as name from calls order by at`,
    );
    await Bun.sleep(50);
  }
  expect(rows.map(({ name }) => name.slice(0, 7)).toSorted()).toEqual([
    "nulbyte",
    "plain",
    "xxxxxxx",
  ]);
});

test("a message endpoint that only looks local takes no credential elsewhere", async () => {
  await using evil = scriptedUpstream(ok);
  const { host } = new URL(evil.url);
  for (const endpoint of [
    `/.//${host}/steal`,
    `//${host}/steal`,
    `./../..//${host}/steal`,
    `\\\\${host}/steal`,
  ]) {
    await using upstream = scriptedUpstream((request) =>
      request.method === "GET"
        ? new Response(`event: endpoint\ndata: ${endpoint}\n\n`, {
            headers: { "content-type": "text/event-stream" },
          })
        : ok(),
    );
    await using world = await openWorld({ environment: pointedAt(upstream.url) });
    const bearer = await newBearer({ url: world.url });
    const text = await fetch(`${world.url}/mcp`, {
      headers: { authorization: `Bearer ${bearer}` },
    })
      .then((stream) => stream.text())
      .catch(() => "");
    const ours = /event: endpoint\ndata: (\S+)/.exec(text)?.[1];
    if (ours !== undefined) await post(`${world.url}${ours}`, bearer, toolCall("x"));
  }
  expect(evil.seen).toEqual([]);
});

test("a refresh that a slower replica was told is dead still counts when its answer arrives", async () => {
  await using world = await openWorld();
  await newBearer({ url: world.url });
  const [row] = await world.app.db.execute<{ id: string }>(sql`select id from accounts`);
  const version = { id: row?.id ?? "", generation: 1 };
  const leased = await leaseRefresh(world.app.db, version, {
    holder: crypto.randomUUID(),
    journal: crypto.randomUUID(),
    seconds: 30,
  });
  expect(await requireReconnect(world.app.db, version, "invalid_grant")).toBe(true);
  await saveRefreshed(world.app.db, version, {
    accessToken: leased!.accessToken,
    refreshToken: leased!.refreshToken,
    accessExpiresAt: leased!.accessExpiresAt,
    refreshExpiresAt: null,
    refreshFrom: null,
  });
  expect(await accountById(world.app.db, version.id)).toMatchObject({
    state: "active",
    generation: 2,
  });
});

test("SIGTERM while the provider is answering keeps the new token", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  const provider = world.sandbox.providers.get("mercadolibre")!;
  await using gateway = await startServe({ ...world.environment, DRAIN_MS: "100" });
  provider.grants.expireAccess();
  provider.faults.push({ kind: "slow", ms: 1500 });
  const call = post(`${gateway.url}/mcp`, bearer, toolCall("whoami")).catch(() => undefined);
  while (provider.asked.refresh_token === 0) await Bun.sleep(10);
  gateway.child.kill("SIGTERM");
  expect(await gateway.child.exited).toBe(0);
  await call;
  const [row] = await world.app.db.execute<{ state: string; generation: number }>(
    sql`select state, generation from accounts`,
  );
  expect(row).toEqual({ state: "active", generation: 2 });
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
});

test("an idle gateway ends at once, however long it might have drained", async () => {
  await using world = await openWorld();
  await using gateway = await startServe({ ...world.environment, DRAIN_MS: "20000" });
  const begun = performance.now();
  gateway.child.kill("SIGTERM");
  expect(await gateway.child.exited).toBe(0);
  expect(performance.now() - begun).toBeLessThan(5000);
});

test("the agent that a link names is remembered for the session", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  const callback = await walkToCallback(visitor, { url: world.url, query: "&platform=chatgpt" });
  const home = locationOf(await visitor.get(callback));
  expect(home).toBe("/?platform=chatgpt");
  expect(await (await visitor.get(`${world.url}${home}`)).text()).toContain(
    'name="platform" value="chatgpt"',
  );
});

test("a session id that looks like an endpoint is not one", async () => {
  await using evil = scriptedUpstream(ok);
  const disguised = Buffer.from(evil.url).toString("base64url");
  await using upstream = scriptedUpstream(() =>
    Response.json(
      { jsonrpc: "2.0", id: 1, result: {} },
      { headers: { "mcp-session-id": disguised } },
    ),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const bound = (await post(`${world.url}/mcp`, bearer, toolCall("x"))).headers.get(
    "mcp-session-id",
  );
  expect((await post(`${world.url}/mcp?sd=${bound}`, bearer, toolCall("x"))).status).toBe(404);
  expect(evil.seen).toEqual([]);
});

test("another site cannot link its account to whoever is signed in", async () => {
  await using world = await openWorld();
  const victim = newVisitor();
  await connectSeller(victim, { url: world.url });
  const lured = await victim.get(`${world.url}/auth/authorize?provider=mercadolibre`);
  const decided = await victim.post(locationOf(lured), { seller: "100200301" });
  await victim.get(locationOf(decided));
  const rows = await world.app.db.execute<{ person_id: string }>(
    sql`select person_id from accounts`,
  );
  expect(new Set(rows.map(({ person_id }) => person_id)).size).toBe(2);
});

test("sessions of a pasted key end when the account's owner connects it", async () => {
  await using world = await openWorld();
  const key = `pat${"B".repeat(14)}.${"0123456789abcdef".repeat(4)}`;
  world.sandbox.providers.get("airtable")!.grants.addKey(key, sellers[0]!);
  const direct = await fetch(`${world.url}/api/auth/direct`, {
    method: "POST",
    body: new URLSearchParams({ api_key: key }),
  });
  const { session_id } = (await direct.json()) as { session_id: string };
  await connectSeller(newVisitor(), { url: world.url, provider: "airtable" });
  expect((await post(`${world.url}/mcp/airtable`, session_id, toolCall("whoami"))).status).toBe(
    401,
  );
});
