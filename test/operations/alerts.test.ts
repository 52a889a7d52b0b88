import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import type { Environment } from "#src/config/read.ts";
import { evaluate } from "#src/operations/alerts/alerts.ts";
import { allAlerts } from "#src/operations/alerts/alert-store.ts";
import { runBeside } from "#test/cli/run.ts";
import { connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { runServe, startServe } from "#test/support/process.ts";
import { secondGateway } from "#test/support/second-gateway.ts";
import { type World, openWorld } from "#test/support/world.ts";

type Told = { readonly path: string; readonly headers: Headers; readonly body: string };

/** Where alerts arrive; refuses as many as it is told to. */
class Receiver {
  readonly told: Told[] = [];
  refuse = 0;
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { pathname: path } = new URL(request.url);
      if (this.refuse > 0) {
        this.refuse -= 1;
        return new Response("no", { status: 500 });
      }
      this.told.push({ path, headers: request.headers, body: await request.text() });
      return new Response("ok");
    },
  });

  at(path: string): readonly Told[] {
    return this.told.filter((each) => each.path.startsWith(path));
  }

  get settings(): Environment {
    const url = `http://127.0.0.1:${this.#server.port}`;
    return {
      ALERT_WEBHOOK_URL: `${url}/hook`,
      ALERT_WEBHOOK_SECRET: secret,
      ALERT_SLACK_URL: `${url}/slack`,
      ALERT_DISCORD_URL: `${url}/discord`,
      ALERT_HEALTHCHECKS_URL: `${url}/hc`,
    };
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }
}

const secret = `whsec_${Buffer.alloc(32, 3).toString("base64")}`;
let receiver: Receiver;
beforeEach(() => {
  receiver = new Receiver();
});
afterEach(() => receiver.stop());

const openAlerting = (extra: Environment = {}) =>
  openWorld({ environment: { ...receiver.settings, ...extra } });

async function refuseThrice({ app: { db } }: World): Promise<void> {
  await db.execute(sql`
    insert into refresh_events (id, account_id, event, generation, request_id, code)
    select gen_random_uuid(), a.id, 'refresh_fail', 1, 'x', 'timeout' from accounts a, generate_series(1, 3)`);
}

const forgive = ({ app: { db } }: World) => db.execute(sql`delete from refresh_events`);

test("three failed refreshes are told once to every sink, and once that it is over", async () => {
  await using world = await openAlerting();
  await connectSeller(newVisitor(), { url: world.url });
  await evaluate(world.app);
  expect(receiver.told).toEqual([]);
  await refuseThrice(world);
  // Two replicas look at the same moment, and again.
  await Promise.all([evaluate(world.app), evaluate(world.app)]);
  await evaluate(world.app);
  const paths = receiver.told.map(({ path }) => path).toSorted();
  expect(paths).toEqual(["/discord", "/hc/fail", "/hook", "/slack"]);
  const [hook] = receiver.at("/hook");
  expect(JSON.parse(hook!.body)).toMatchObject({
    type: "alert.firing",
    data: { kind: "refresh_failing", subject: "mercadolibre", gateway: world.app.publicUrl },
  });
  const id = hook!.headers.get("webhook-id");
  const seconds = hook!.headers.get("webhook-timestamp");
  const signature = createHmac("sha256", Buffer.alloc(32, 3))
    .update(`${id}.${seconds}.${hook!.body}`)
    .digest("base64");
  expect(hook!.headers.get("webhook-signature")).toBe(`v1,${signature}`);
  const slack = JSON.parse(receiver.at("/slack")[0]!.body) as { text: string };
  expect(slack.text).toContain("[FIRING]");
  expect(slack.text).toContain("docs/runbook.md#alert-refresh_failing");
  expect(JSON.parse(receiver.at("/discord")[0]!.body)).toMatchObject({
    allowed_mentions: { parse: [] },
  });
  await forgive(world);
  await evaluate(world.app);
  expect(
    receiver.at("/hook").map(({ body }) => (JSON.parse(body) as { type: string }).type),
  ).toEqual(["alert.firing", "alert.resolved"]);
  // It names no account, seller or person.
  expect(receiver.told.map(({ body }) => body).join("")).not.toMatch(/100200300|TIENDA_DEMO/);
});

test("two failed refreshes, or three within an hour, are nobody's business", async () => {
  await using world = await openAlerting();
  await connectSeller(newVisitor(), { url: world.url });
  await refuseThrice(world);
  const { db } = world.app;
  await db.execute(
    sql`delete from refresh_events where id = (select id from refresh_events where event = 'refresh_fail' limit 1)`,
  );
  expect(await evaluate(world.app)).toEqual([]);
  await db.execute(sql`delete from refresh_events`);
  await refuseThrice(world);
  await db.execute(sql`update refresh_events set at = now() - interval '6 minutes'`);
  expect(await evaluate(world.app)).toEqual([]);
});

test("running gateways look by themselves, and tell once between them", async () => {
  await using world = await openAlerting();
  await using second = await secondGateway(world);
  await connectSeller(newVisitor(), { url: world.url });
  await refuseThrice(world);
  const deadline = Date.now() + 40_000;
  while (receiver.at("/hook").length === 0 && Date.now() < deadline) await Bun.sleep(100);
  for (const app of [world.app, second.app]) await evaluate(app);
  expect(receiver.at("/hook")).toHaveLength(1);
  const [task] = await second.app.db.execute(sql`select done_at from tasks where name = 'alerts'`);
  expect(task?.["done_at"]).not.toBeNull();
});

test("what comes and goes is told again only after the cool-down", async () => {
  await using world = await openAlerting({ ALERT_COOLDOWN_MS: "1500" });
  await connectSeller(newVisitor(), { url: world.url });
  const types = () =>
    receiver.at("/hook").map(({ body }) => (JSON.parse(body) as { type: string }).type);
  for (let turn = 0; turn < 3; turn++) {
    await refuseThrice(world);
    await evaluate(world.app);
    await forgive(world);
    await evaluate(world.app);
  }
  expect(types()).toEqual(["alert.firing", "alert.resolved"]);
  await refuseThrice(world);
  await evaluate(world.app);
  expect(types()).toHaveLength(2);
  await world.app.db.execute(sql`update alerts set told_at = told_at - interval '2 s'`);
  await evaluate(world.app);
  expect(types()).toEqual(["alert.firing", "alert.resolved", "alert.firing"]);
});

test("a sink that does not answer is tried five times, by whichever replica looks, and then given up", async () => {
  const { ALERT_WEBHOOK_URL, ALERT_WEBHOOK_SECRET } = receiver.settings;
  await using world = await openWorld({ environment: { ALERT_WEBHOOK_URL, ALERT_WEBHOOK_SECRET } });
  await connectSeller(newVisitor(), { url: world.url });
  await refuseThrice(world);
  receiver.refuse = 2;
  for (let look = 0; look < 3; look++) await evaluate(world.app);
  expect(receiver.told).toHaveLength(1);
  expect((await allAlerts(world.app.db))[0]?.pending).toEqual([]);
  await forgive(world);
  receiver.refuse = 50;
  for (let look = 0; look < 7; look++) await evaluate(world.app);
  expect(50 - receiver.refuse).toBe(5);
});

test("each condition fires from the tables, and ends", async () => {
  await using world = await openAlerting();
  await connectSeller(newVisitor(), { url: world.url });
  const { db } = world.app;
  await db.execute(sql`
    insert into calls (id, at, request_id, upstream, http_method, status, duration_ms)
    select gen_random_uuid(), now(), 'x', 'airtable', 'POST', 504, 1 from generate_series(1, 3)`);
  await db.execute(sql`
    insert into calls (id, at, request_id, account_id, agent_id, upstream, http_method, status, upstream_status, duration_ms, failure)
    select gen_random_uuid(), now(), 'x', gen_random_uuid(), gen_random_uuid(), name, 'POST', 502, upstream_status, 1, failure
    from (values ('mercadolibre', 401, 'upstream_refuses_credential'), ('another', null, 'upstream_unreachable'))
      as u(name, upstream_status, failure), generate_series(1, 10)`);
  await db.execute(sql`
    insert into provider_states (provider, refused_code, closed_until)
    values ('airtable', 'unauthorized_application', null), ('mercadolibre', null, now() + interval '1 minute')`);
  await db.execute(sql`
    insert into events (id, name, subject) values (gen_random_uuid(), 'journal_unavailable', 'a gateway')`);
  await db.execute(sql`
    update accounts set state = 'reconnect_required', last_error = 'invalid_grant', updated_at = now()`);
  await db.execute(sql`
    insert into accounts (id, person_id, provider, seller_id, kind, state, access_token, refresh_token, refresh_expires_at)
    select gen_random_uuid(), person_id, 'airtable', 'x', 'oauth', 'active', ''::bytea, ''::bytea, now() + interval '3 days' from accounts`);
  await db.execute(sql`
    insert into events (id, name, subject) values (gen_random_uuid(), 'client_document_drifted', 'https://client.example/c.json')`);
  await db.execute(sql`update signing_keys set created_at = now() - interval '1 year'`);
  await db.execute(sql`insert into signing_keys (id, algorithm, state, public_jwk, private_jwk, created_at)
    values (gen_random_uuid(), 'EdDSA', 'current', '{}', ''::bytea, now() - interval '1 year') on conflict do nothing`);
  await db.execute(sql`update smartdash_migrations set applied_at = now() - interval '9 days'`);
  await db.execute(sql`
    insert into tasks (name, done_at, outcome) values ('certificate', now(), '{"daysLeft": 5}')`);
  const found = await evaluate(world.app);
  expect(found.map(({ kind, subject }) => `${kind} ${subject}`).toSorted()).toEqual([
    "application_refused airtable",
    "certificate_expiry PUBLIC_URL",
    "cleanup_overdue cleanup",
    "client_document_drifted https://client.example/c.json",
    "invalid_grant mercadolibre",
    "journal_unavailable journal",
    "provider_closed mercadolibre",
    "refresh_token_lapses airtable",
    "signing_key_old signing_keys",
    "upstream_failing another",
    "upstream_failing mercadolibre",
    "upstream_refuses_credential mercadolibre",
    "upstream_timeout airtable",
    "upstream_unreachable another",
    "upstream_unreachable mercadolibre",
  ]);
  const listed = await runBeside(world, ["alerts", "list", "--json"]);
  expect(listed.exit).toBe(1);
  expect((listed.json["alerts"] as unknown[]).length).toBe(15);
});

test("alerts test sends to every sink, and says which did not take it", async () => {
  await using world = await openAlerting();
  const sent = await runBeside(world, ["alerts", "test", "--json"]);
  expect(sent.exit).toBe(0);
  expect(receiver.told.map(({ path }) => path).toSorted()).toEqual([
    "/discord",
    "/hc/log",
    "/hook",
    "/slack",
  ]);
  receiver.refuse = 1;
  const failed = await runBeside(world, ["alerts", "test", "--json"]);
  expect(failed.exit).toBe(1);
  expect(JSON.stringify(failed.json)).toContain('"isTaken":false,"reason":"HTTP 500"');
  const nowhere = await runBeside(world, ["alerts", "test"], {
    ALERT_WEBHOOK_URL: "",
    ALERT_SLACK_URL: "",
    ALERT_DISCORD_URL: "",
    ALERT_HEALTHCHECKS_URL: "",
  });
  expect(nowhere.exit).toBe(1);
  expect(nowhere.stderr).toContain("No sink is configured");
});

test("a gateway that cannot open its database tells so, once for all its restarts, and that it can again", async () => {
  await using world = await openWorld();
  const home = await mkdtemp(join(tmpdir(), "sd-"));
  const { ALERT_WEBHOOK_URL, ALERT_WEBHOOK_SECRET } = receiver.settings;
  const environment = {
    ...world.environment,
    SMARTDASH_HOME: home,
    DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
    ALERT_WEBHOOK_URL,
    ALERT_WEBHOOK_SECRET,
  };
  for (let start = 0; start < 2; start++) expect((await runServe(environment)).exit).toBe(75);
  expect(receiver.told).toHaveLength(1);
  expect(receiver.told[0]?.body).toContain("database_init_failed");
  await using gateway = await startServe({ ...environment, DATABASE_URL: world.database.url });
  expect(gateway.logs()).toContain("serving");
  expect(receiver.told.map(({ body }) => (JSON.parse(body) as { type: string }).type)).toEqual([
    "alert.firing",
    "alert.resolved",
  ]);
  await rm(home, { recursive: true });
});
