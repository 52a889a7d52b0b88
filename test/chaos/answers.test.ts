import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "drizzle-orm";
import type { Fault } from "#src/sandbox/faults.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { addCrowd } from "#test/support/crowd.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { roomFor } from "#test/support/room.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { printTable } from "./table.ts";

/** What a provider may answer to a refresh, what the call then gets, and how the account is left. */
type Case = {
  readonly name: string;
  readonly fault: Fault;
  readonly provider?: string;
  readonly call: number;
  readonly code?: string;
  /** Seconds that the new access token is taken to live, give or take a minute. */
  readonly seconds?: number;
  /** The provider has used the refresh token up, and nobody has its answer. */
  readonly isLost?: true;
};

const text = (status: number, body: string): Fault => ({ kind: "plain", status, text: body });
const coded = (status: number, error: string): Fault => ({
  kind: "status",
  status,
  body: { error, message: "said with message instead of error_description" },
});
const odd = (fields: Readonly<Record<string, unknown>>): Fault => ({ kind: "odd_fields", fields });

const hour = 3600;
const profileSeconds = 10_800;
const tenMinutesMs = 600_000;

const cases: readonly Case[] = [
  { name: "429", fault: coded(429, "too_many_requests"), call: 503, code: "too_many_requests" },
  {
    name: "429 with Retry-After: 120",
    fault: { kind: "status", status: 429, retryAfter: 120 },
    call: 503,
    code: "down",
  },
  {
    name: "429 as plain text",
    fault: text(429, "local_rate_limited"),
    call: 503,
    code: "http_429",
  },
  {
    name: "a rate limit as plain text with status 400",
    fault: text(400, "local_rate_limited"),
    call: 503,
    code: "http_400",
  },
  { name: "500", fault: { kind: "status", status: 500 }, call: 503, code: "down" },
  {
    name: "502 as HTML",
    fault: text(502, "<html>Bad Gateway</html>"),
    call: 503,
    code: "http_502",
  },
  {
    name: "200 as HTML",
    fault: text(200, "<html>Maintenance</html>"),
    call: 503,
    code: "http_200",
  },
  { name: "a firewall's page", fault: { kind: "firewall_page" }, call: 503, code: "http_403" },
  { name: "invalid_grant with status 500", fault: coded(500, "invalid_grant"), call: 503 },
  {
    name: "409, just refreshed",
    provider: "airtable",
    fault: coded(409, "recently_refreshed"),
    call: 503,
    code: "recently_refreshed",
  },
  { name: "no answer in time", fault: { kind: "hang" }, call: 503, code: "timeout" },
  { name: "a slow drip", fault: { kind: "drip", ms: 10 }, call: 200, seconds: hour },
  {
    name: "a drip that takes too long",
    fault: { kind: "drip", ms: 400 },
    call: 503,
    code: "timeout",
    isLost: true,
  },
  {
    name: "truncated JSON",
    fault: { kind: "truncated" },
    call: 503,
    code: "http_200",
    isLost: true,
  },
  { name: "no expires_in", fault: { kind: "no_expires_in" }, call: 200, seconds: profileSeconds },
  { name: "expires_in as a text", fault: odd({ expires_in: "3600" }), call: 200, seconds: hour },
  {
    name: "expires_in: soon",
    fault: odd({ expires_in: "soon" }),
    call: 200,
    seconds: profileSeconds,
  },
  {
    name: "expires_in: null",
    fault: odd({ expires_in: null }),
    call: 200,
    seconds: profileSeconds,
  },
  { name: "a strange token_type", fault: odd({ token_type: "APP" }), call: 200, seconds: hour },
  { name: "no token_type", fault: odd({ token_type: undefined }), call: 200, seconds: hour },
  { name: "a scope that is a list", fault: odd({ scope: ["read"] }), call: 200, seconds: hour },
  { name: "a forged id_token", fault: odd({ id_token: "a.b.c" }), call: 200, seconds: hour },
  {
    name: "a clock ten minutes ahead",
    fault: { kind: "date", aheadMs: tenMinutesMs },
    call: 200,
    seconds: hour,
  },
  {
    name: "a clock ten minutes behind",
    fault: { kind: "date", aheadMs: -tenMinutesMs },
    call: 200,
    seconds: hour,
  },
  {
    name: "invalid_client",
    fault: coded(401, "invalid_client"),
    call: 502,
    code: "invalid_client",
  },
  {
    name: "unauthorized_application",
    fault: coded(403, "unauthorized_application"),
    call: 502,
    code: "unauthorized_application",
  },
];

/** Time in line counts too. */
setDefaultTimeout(120_000);

const room = roomFor(4);
const table: string[][] = [];
afterAll(() =>
  printTable(["the provider answers", "call", "account", "last error", "afterwards"], table),
);

describe("no account is disconnected by", () => {
  test.concurrent.each(cases.map((each) => [each.name, each] as const))("%s", async (_, each) => {
    const { name, fault, provider = "mercadolibre", call, code, seconds, isLost } = each;
    await using world = await room.hold(() =>
      openWorld({
        endsOnReuse: true,
        environment: { PROVIDER_TIMEOUT_MS: "1500" },
      }),
    );
    const bearer = await newBearer({ url: world.url, provider });
    const url = `${world.url}/mcp/${provider}`;
    const simulated = world.sandbox.providers.get(provider);
    simulated?.grants.expireAccess();
    simulated?.faults.push(fault);
    const first = await post(url, bearer, toolCall("whoami"));
    expect(first.status).toBe(call);
    await first.text();
    if (call === 503) expect(Number(first.headers.get("retry-after"))).toBeGreaterThan(0);
    const left = await accountIn(world);
    // Whatever was said, it is no verdict about the account.
    expect(left.state).toBe("active");
    if (code !== undefined) expect(left.last_error).toBe(code);
    if (seconds !== undefined) expect(Math.abs(left.seconds - seconds)).toBeLessThan(60);

    await timePasses(world);
    const later = await post(url, bearer, toolCall("whoami"));
    const said = await later.text();
    // Only where the provider has taken the token and nobody has what it gave for it.
    expect(said.includes("reconnect_needed")).toBe(isLost === true);
    expect(said.includes("TIENDA_DEMO")).toBe(isLost !== true);
    const afterwards = isLost === true ? "lost: connect again" : "works";
    table.push([name, String(call), left.state, left.last_error ?? "", afterwards]);
  });
});

type Row = { state: string; last_error: string | null; seconds: number };

async function accountIn(world: World): Promise<Row> {
  const [row] = await world.app.db.execute<Row>(sql`select state, last_error,
    round(extract(epoch from access_expires_at - now()))::int as seconds from accounts`);
  if (row === undefined) throw new Error("there is an account");
  return row;
}

/** Whatever we were to wait for is over. */
async function timePasses(world: World): Promise<void> {
  await world.app.db.execute(sql`update accounts set retry_at = null`);
  await world.app.db.execute(
    sql`update provider_states set closed_until = now(), probe_until = null`,
  );
  // What a process knows about a provider is half a second old at most.
  await Bun.sleep(550);
}

test.concurrent("failures of five accounts in a row close the provider for everybody; then one asks first", async () => {
  await using world = await room.hold(openWorld);
  const bearers = await addCrowd(world, 7);
  const simulated = world.sandbox.providers.get("mercadolibre");
  const ask = (which: number) => post(`${world.url}/mcp`, bearers[which] ?? "", toolCall("whoami"));
  simulated?.grants.expireAccess();
  for (let which = 0; which < 5; which++) {
    simulated?.faults.push({ kind: "status", status: 500 });
    expect((await ask(which)).status).toBe(503);
  }
  expect(simulated?.asked.refresh_token).toBe(5);
  expect((await ask(5)).status).toBe(503);
  expect(simulated?.asked.refresh_token).toBe(5);

  await world.app.db.execute(sql`update provider_states set closed_until = now()`);
  await Bun.sleep(550);
  simulated?.faults.push({ kind: "slow", ms: 300 });
  const probe = ask(5);
  while (simulated?.asked.refresh_token === 5) await Bun.sleep(2);
  await Bun.sleep(20);
  expect((await ask(6)).status).toBe(503);
  expect((await probe).status).toBe(200);
  expect((await ask(6)).status).toBe(200);
});

test.concurrent("one account that always fails does not close the provider for the others", async () => {
  await using world = await room.hold(openWorld);
  const [failing = "", other = ""] = await addCrowd(world, 2);
  const simulated = world.sandbox.providers.get("mercadolibre");
  simulated?.grants.expireAccess();
  for (let failure = 0; failure < 8; failure++) {
    simulated?.faults.push({ kind: "status", status: 400, body: { error: "invalid_request" } });
    const answer = await post(`${world.url}/mcp`, failing, toolCall("whoami"));
    expect(answer.status).toBe(503);
    await world.app.db.execute(sql`update accounts set retry_at = null`);
  }
  expect(simulated?.asked.refresh_token).toBe(8);
  await Bun.sleep(550);
  expect((await post(`${world.url}/mcp`, other, toolCall("whoami"))).status).toBe(200);
});

test.concurrent("an application that is refused stops all its accounts, says so once, and starts with another secret", async () => {
  await using world = await room.hold(openWorld);
  const first = await newBearer({ url: world.url });
  const second = await newBearer({ url: world.url, seller: "100200301" });
  const simulated = world.sandbox.providers.get("mercadolibre");
  simulated?.grants.expireAccess();
  simulated?.faults.push({ kind: "status", status: 401, body: { error: "invalid_client" } });
  for (const bearer of [first, second, first, second]) {
    const answer = await post(`${world.url}/mcp`, bearer, toolCall("whoami"));
    expect(answer.status).toBe(502);
    expect(await answer.text()).toContain("provider_refuses_application");
  }
  expect(simulated?.asked.refresh_token).toBe(1);
  // As with a corrected setting after a restart.
  await world.app.db.execute(sql`update provider_states set refused_registration = 'another'`);
  await world.app.db.execute(sql`update accounts set retry_at = null`);
  await Bun.sleep(550);
  expect((await post(`${world.url}/mcp`, second, toolCall("whoami"))).status).toBe(200);
  const states = await world.app.db.execute(
    sql`select failures, refused_code, closed_until from provider_states`,
  );
  expect([...states]).toEqual([{ failures: 0, refused_code: null, closed_until: null }]);
});

test.concurrent("after a day of failures an operator is told once, and the account is kept", async () => {
  await using world = await room.hold(openWorld);
  const bearer = await newBearer({ url: world.url });
  const simulated = world.sandbox.providers.get("mercadolibre");
  simulated?.grants.expireAccess();
  for (let failure = 0; failure < 3; failure++) {
    simulated?.faults.push({ kind: "status", status: 500 });
    expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(503);
    await world.app.db.execute(
      sql`update accounts set retry_at = null, failing_since = now() - interval '25 hours'`,
    );
  }
  const [row] = await world.app.db.execute(
    sql`select state, exhausted_at is not null as exhausted from accounts`,
  );
  expect(row).toEqual({ state: "active", exhausted: true });
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
});
