import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { cleanup, countLeftovers } from "#src/operations/cleanup/cleanup.ts";
import { leftovers } from "#src/operations/cleanup/store.ts";
import { runBeside } from "#test/cli/run.ts";
import { connectSeller, newBearer, newVisitor } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { type World, openWorld } from "#test/support/world.ts";

/** Makes a row of every kind old enough to go, beside the ones that are in use. */
async function litter({ app: { db } }: World): Promise<void> {
  await db.execute(sql`
    with p as (insert into people (id, created_at) values (gen_random_uuid(), now() - interval '1 year') returning id),
      q as (insert into people (id, created_at) values (gen_random_uuid(), now() - interval '1 year') returning id),
      a as (insert into accounts (id, person_id, provider, seller_id, kind, state, access_token, updated_at)
        select gen_random_uuid(), id, 'x', 'x', 'static', 'revoked', ''::bytea, now() - interval '1 year' from q returning id, person_id),
      b as (insert into accounts (id, person_id, provider, seller_id, kind, state, access_token)
        select gen_random_uuid(), person_id, 'x', 'live', 'static', 'active', ''::bytea from a returning id, person_id),
      s as (insert into sessions (id, person_id, account_id, token_fingerprint, expires_at)
        select gen_random_uuid(), person_id, id, '\\x01'::bytea, now() - interval '1 year' from b),
      g as (insert into grants (id, person_id, account_id, client_id, client_name, upstream, resource, scope, created_at, activated_at, ended_at)
        select gen_random_uuid(), person_id, id, 'c', 'c', 'x', 'x', 'x', now() - interval '1 year', now() - interval '1 year', now() - interval '1 year' from b),
      n as (insert into grants (id, person_id, account_id, client_id, client_name, upstream, resource, scope, created_at)
        select gen_random_uuid(), person_id, id, 'c', 'c', 'x', 'x', 'x', now() - interval '1 year' from b),
      o as (insert into grants (id, person_id, account_id, client_id, client_name, upstream, resource, scope)
        select gen_random_uuid(), person_id, id, 'o', 'o', 'x', 'x', 'x' from b returning id),
      c as (insert into authorization_codes (fingerprint, grant_id, redirect_uri, challenge, expires_at)
        select '\\x01'::bytea, id, 'x', 'x', now() - interval '1 year' from o),
      r as (insert into refresh_tokens (fingerprint, grant_id, expires_at)
        select '\\x01'::bytea, id, now() - interval '1 year' from o),
      d as (insert into device_codes (id, device_fingerprint, user_fingerprint, client_id, resource, scope, interval_seconds, expires_at)
        values (gen_random_uuid(), '\\x01'::bytea, '\\x01'::bytea, 'x', 'x', 'x', 5, now() - interval '1 year')),
      t as (insert into connect_attempts (id, state_fingerprint, browser_fingerprint, provider, callback_path, verifier_sealed, expires_at)
        values (gen_random_uuid(), '\\x01'::bytea, '\\x01'::bytea, 'x', '/', ''::bytea, now() - interval '1 year')),
      w as (insert into sign_ins (id, person_id, cookie_fingerprint, expires_at)
        select gen_random_uuid(), person_id, '\\x01'::bytea, now() - interval '1 year' from b),
      i as (insert into invites (id, fingerprint, expires_at) values (gen_random_uuid(), '\\x01'::bytea, now() - interval '1 year')),
      u as (insert into used_assertions (fingerprint, expires_at) values ('\\x01'::bytea, now() - interval '1 year')),
      k as (insert into signing_keys (id, algorithm, state, public_jwk, private_jwk, replaced_at)
        values (gen_random_uuid(), 'EdDSA', 'previous', '{}', ''::bytea, now() - interval '1 year')),
      e as (insert into endings (subject, at) values ('session:x', now() - interval '1 year')),
      f as (insert into agents (id, client_id, kind, name, redirect_uris, grant_types, auth_method, scope, created_at, used_at) values
        (gen_random_uuid(), 'unused', 'dynamic', 'x', '{}', '{}', 'none', '', now() - interval '1 year', null),
        (gen_random_uuid(), 'dead', 'dynamic', 'x', '{}', '{}', 'none', '', now() - interval '1 year', now() - interval '1 year'),
        (gen_random_uuid(), 'mine', 'operator', 'x', '{}', '{}', 'none', '', now() - interval '1 year', now() - interval '1 year')),
      v as (insert into refresh_events (id, account_id, event, generation, request_id, at)
        select gen_random_uuid(), id, 'refresh_start', 1, 'x', now() - interval '1 year' from b),
      h as (insert into calls (id, at, person_id, request_id, upstream, http_method, status, duration_ms)
        select gen_random_uuid(), now() - interval '1 year', person_id, 'x', 'x', 'POST', 200, 1 from b),
      j as (insert into events (id, name, subject, at) values (gen_random_uuid(), 'x', 'x', now() - interval '1 year')),
      l2 as (insert into switches (subject, by) values ('grant:x', 'guard'), ('grant:y', 'operator')),
      l3 as (insert into approvals (id, caller, agent, upstream, tool, arguments_hash, state, extent, expires_at)
        values (gen_random_uuid(), 'grant:x', 'x', 'x', 'x', 'x', 'approved', 'always', now() + interval '1 year')),
      l as (insert into tallies (key, level, expires_at) values ('x', 1, now() - interval '1 year')),
      l5 as (insert into sightings (of, peer_id, node_id, addresses, via, seen_at, expires_at)
        values ('x', 'x', 'x', '{}', 'mdns', now(), now() - interval '2 hours')),
      l7 as (insert into tool_writes (pack, seller, tool, about, at)
        values ('x', 'x', 'x', 'x', now() - interval '2 days')),
      l8 as (insert into call_counts (span, slot, upstream, caller, account, guard, calls, failed, durations)
        values ('minute', now() - interval '27 hours', 'x', '', '', '', 1, 0, '{}')),
      l9 as (insert into operator_actions (id, at, actor, action, about)
        values (gen_random_uuid(), now() - interval '1 year', 'x', 'x', 'x')),
      l6 as (insert into replicas (id, seen_at) values (gen_random_uuid(), now() - interval '2 hours')),
      l4 as (insert into review_keys (fingerprint, kind, expires_at)
        values ('\\x01'::bytea, 'link', now() - interval '1 second')),
      m as (insert into approvals (id, caller, agent, upstream, tool, arguments_hash, expires_at)
        values (gen_random_uuid(), 'x', 'x', 'x', 'x', 'x', now() - interval '1 year')),
      y as (insert into tool_policies (subject) values ('grant:x'), ('narrowed:x'), ('session:x'), ('agent:mine')),
      x as (insert into call_batches (seq, day, at, digests, link)
        values (1, '2020-01-01', now() - interval '1 year', ''::bytea, ''::bytea))
    insert into alerts (kind, subject, state, summary, seen_at) values ('x', 'x', 'resolved', 'x', now() - interval '1 year')`);
}

test("cleanup removes one of every kind of leftover, and nothing that is in use", async () => {
  await using world = await openWorld();
  const bearer = await newBearer({ url: world.url });
  await litter(world);
  // A little younger than what goes.
  await world.app.db.execute(sql`
    with p as (insert into people (id, created_at) values (gen_random_uuid(), now() - interval '1 year') returning id),
      a as (insert into accounts (id, person_id, provider, seller_id, kind, state, access_token, updated_at)
        select gen_random_uuid(), id, 'y', 'y', 'static', 'revoked', ''::bytea, now() - interval '29 days' from p returning id)
    insert into refresh_events (id, account_id, event, generation, request_id, at)
    select gen_random_uuid(), id, 'refresh_start', 1, 'young', now() - interval '89 days' from a`);
  await world.app.db.execute(sql`
    insert into calls (id, at, request_id, upstream, http_method, status, duration_ms)
    values (gen_random_uuid(), now() - interval '89 days', 'young', 'x', 'POST', 200, 1)`);
  const before = await countLeftovers(world.app);
  const kinds = leftovers.map(({ name }) => name);
  expect(kinds.filter((name) => before[name] === 0)).toEqual([]);
  const told = await runBeside(world, ["cleanup", "--dry-run", "--json"]);
  expect(told.json).toEqual({ dryRun: true, wouldRemove: before });
  expect(await countLeftovers(world.app)).toEqual(before);

  const done = await runBeside(world, ["cleanup"]);
  // Cron would send mail about a single word.
  expect({ exit: done.exit, stdout: done.stdout, stderr: done.stderr }).toEqual({
    exit: 0,
    stdout: "",
    stderr: "",
  });
  expect(Object.values(await countLeftovers(world.app)).filter((count) => count > 0)).toEqual([]);
  expect((await post(`${world.url}/mcp`, bearer, toolCall("whoami"))).status).toBe(200);
  const [young] = await world.app.db.execute(sql`
    select (select count(*)::int from calls where request_id = 'young') as calls,
      (select count(*)::int from accounts where provider = 'y') as accounts,
      (select count(*)::int from refresh_events where request_id = 'young') as events`);
  expect(young).toEqual({ calls: 1, accounts: 1, events: 1 });
  const agents = await world.app.db.execute(sql`select client_id from agents`);
  expect(agents.map(({ client_id: id }) => id)).toEqual(["mine"]);
});

test("two at once share the work, in batches", async () => {
  await using world = await openWorld();
  const { db } = world.app;
  await db.execute(sql`
    insert into calls (id, at, request_id, upstream, http_method, status, duration_ms)
    select gen_random_uuid(), now() - interval '1 year', 'x', 'x', 'POST', 200, 1 from generate_series(1, 5000)`);
  const [first, second] = await Promise.all([
    runBeside(world, ["cleanup", "--json"]),
    runBeside(world, ["cleanup", "--json"]),
  ]);
  const removed = [first, second].map(
    ({ json }) => (json["removed"] as Record<string, number>)["calls"] ?? 0,
  );
  expect([first.exit, second.exit]).toEqual([0, 0]);
  expect(removed.reduce((sum, count) => sum + count, 0)).toBe(5000);
});

test("health notices when it has not run for eight days", async () => {
  await using world = await openWorld();
  const { db } = world.app;
  await db.execute(sql`update smartdash_migrations set applied_at = now() - interval '9 days'`);
  const answer = await fetch(`${world.url}/health`);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({
    status: "warn",
    checks: { database: "pass", cleanup: "cleanup_overdue" },
  });
  await cleanup(world.app);
  const found = await runBeside(world, ["check", "--quick", "--offline", "--json"]);
  expect(found.json["findings"]).toContainEqual(
    expect.objectContaining({ code: "cleanup", status: "pass" }),
  );
});

test("a monitor is told of the start, the end and a failure", async () => {
  await using world = await openWorld();
  await connectSeller(newVisitor(), { url: world.url });
  const pinged: string[] = [];
  const monitor = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      pinged.push(new URL(request.url).pathname);
      return new Response("OK");
    },
  });
  const url = `http://127.0.0.1:${monitor.port}/uuid`;
  expect((await runBeside(world, ["cleanup", "--ping", url])).exit).toBe(0);
  expect(pinged).toEqual(["/uuid/start", "/uuid"]);
  const broken = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" };
  expect((await runBeside(world, ["cleanup", "--ping", url], broken)).exit).toBe(75);
  expect(pinged).toEqual(["/uuid/start", "/uuid", "/uuid/start", "/uuid/fail"]);
  await monitor.stop(true);
  const away = await runBeside(world, ["cleanup", "--ping", url]);
  expect({ exit: away.exit, stdout: away.stdout }).toEqual({ exit: 0, stdout: "" });
  expect(away.stderr).toContain(`The monitor at ${new URL(url).host} did not take the end`);
  expect(away.stderr).not.toContain("uuid");
});
