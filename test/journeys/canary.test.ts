import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { join } from "node:path";
import type { Environment } from "#src/config/read.ts";
import { runBeside } from "#test/cli/run.ts";
import {
  connectSeller,
  locationOf,
  mintBearer,
  newVisitor,
  walkToCallback,
} from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { startServe } from "#test/support/process.ts";
import { openWorld } from "#test/support/world.ts";

/** A secret in every form in which it could slip out. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    secret.slice(0, 16),
    bytes.toString("base64"),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    encodeURIComponent(secret),
  ];
}

/** Takes whatever is sent to it: alerts, traces. */
function receiver() {
  const bodies: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      bodies.push(`${request.url} ${await request.text()}`);
      return new Response("ok");
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    text: () => bodies.join("\n"),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

test("planted secrets appear in no log, page, error, header, URL, metric, trace, alert, bundle, report or database column", async () => {
  await using sink = receiver();
  await using world = await openWorld({ accessSeconds: 3600 });
  const provider = world.sandbox.providers.get("mercadolibre")!;
  const environment: Environment = {
    ...world.environment,
    LOG_LEVEL: "debug",
    SECRET_KEY: Buffer.alloc(32, 5).toString("base64"),
    METRICS_TOKEN: "metrics-token-planted-1234",
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer otlp-planted-secret",
    ALERT_WEBHOOK_URL: `${sink.url}/hook/webhook-planted-path`,
    ALERT_WEBHOOK_SECRET: "webhook-secret-planted-123456",
    ALERT_SLACK_URL: `${sink.url}/slack`,
    PARSE_MASTER_KEY: "parse-master-key-planted",
  };
  await using gateway = await startServe(environment);
  const seen: string[] = [];
  const visitor = newVisitor();
  const record = async (response: Response) => {
    seen.push(
      JSON.stringify(
        [...response.headers].filter(([name]) => name !== "set-cookie" && name !== "location"),
      ),
    );
    seen.push(await response.text());
  };

  const callback = await walkToCallback(visitor, { url: gateway.url });
  const code = new URL(callback).searchParams.get("code")!;
  const state = new URL(callback).searchParams.get("state")!;
  const done = await visitor.get(callback);
  seen.push(locationOf(done));
  await record(done);
  const bearer = await mintBearer(visitor, gateway.url);
  const signIn = visitor.cookies.get("__Host-smartdash-person")!;
  const [before] = await tokensOf(world.app, "mercadolibre");
  await record(await post(`${gateway.url}/mcp`, bearer, toolCall("whoami")));
  provider.grants.expireAccess();
  await record(await post(`${gateway.url}/mcp`, bearer, toolCall("whoami")));
  const [after] = await tokensOf(world.app, "mercadolibre");
  provider.grants.expireAccess();
  const leaky = {
    error: "invalid_request",
    error_description: `bad ${after!.refresh}`,
    message: `bad ${after!.refresh}`,
  };
  provider.faults.push({ kind: "status", status: 400, body: leaky });
  await record(await post(`${gateway.url}/mcp`, bearer, toolCall("whoami")));
  await record(await visitor.get(callback));
  await record(await visitor.get(`${gateway.url}/auth/callback?state=${state}&code=${code}`));
  await record(await post(`${gateway.url}/mcp`, `${bearer}x`, toolCall("whoami")));
  const pat = `pat${"Z".repeat(14)}.${"abcdef0123456789".repeat(4)}`;
  await record(
    await fetch(`${gateway.url}/api/auth/direct`, {
      method: "POST",
      body: new URLSearchParams({ api_key: pat }),
    }),
  );
  await record(await visitor.get(`${gateway.url}/`));
  await record(await fetch(`${gateway.url}/health`));
  const metricsToken = { authorization: `Bearer ${environment["METRICS_TOKEN"]}` };
  const metrics = await (await fetch(`${gateway.url}/metrics`, { headers: metricsToken })).text();
  const beside = { environment, url: gateway.url };
  const printed = [];
  const bundled = join(environment["SMARTDASH_HOME"] ?? "", "bundle.json");
  for (const words of [
    "alerts test",
    "check --json --offline",
    "refresh --simulate --json",
    "accounts show mercadolibre:100200300",
    "accounts list --json",
    `bundle --out ${bundled}`,
    "switch off mercadolibre",
  ]) {
    const { stdout, stderr } = await runBeside(beside, words.split(" "));
    printed.push(stdout, stderr);
  }
  const bundle = await Bun.file(bundled).text();
  expect(bundle).toContain("findings");
  gateway.child.kill("SIGTERM");
  await gateway.child.exited;
  const sent = sink.text();
  expect(sent).toContain("/v1/traces");
  expect(sent).toContain("/slack");
  const logs = gateway.logs();
  expect(logs).toContain("refresh_success");
  expect(logs).toContain('"event":"call"');

  const rows = await world.app.db.execute<{ row: string }>(sql`
    select a::text as row from accounts a union all select s::text from sessions s union all select i::text from sign_ins i
    union all select c::text from connect_attempts c union all select r::text from refresh_events r union all select k::text from calls k
    union all select x::text from alerts x union all select e::text from events e union all select t::text from tasks t`);
  const sinks = {
    logs,
    answers: seen.join("\n"),
    database: rows.map(({ row }) => row).join("\n"),
    metrics,
    "alerts and traces": sent.replaceAll("/hook/webhook-planted-path", ""),
    bundle,
    commands: printed.join("\n"),
  };
  const secrets = {
    code,
    state,
    bearer,
    signIn,
    pat,
    access: before!.access,
    refresh: before!.refresh,
    newAccess: after!.access,
    newRefresh: after!.refresh,
    clientSecret: environment["MELI_CLIENT_SECRET"]!,
    encryptionKey: environment["ENCRYPTION_KEY"]!,
    secretKey: environment["SECRET_KEY"]!,
    metricsToken: environment["METRICS_TOKEN"]!,
    otlp: "otlp-planted-secret",
    webhookPath: "webhook-planted-path",
    webhookSecret: environment["ALERT_WEBHOOK_SECRET"]!,
    parseKey: environment["PARSE_MASTER_KEY"]!,
  };
  const leaks = Object.entries(secrets).flatMap(([name, secret]) =>
    Object.entries(sinks).flatMap(([sink, text]) =>
      formsOf(secret).some((form) => text.includes(form)) ? [`${name} in ${sink}`] : [],
    ),
  );
  expect(leaks).toEqual([]);
}, 60_000);

/** The tokens as they are stored, opened with the world's key. */
async function tokensOf(app: Awaited<ReturnType<typeof openWorld>>["app"], provider: string) {
  const rows = await app.db.execute<{
    id: string;
    access_token: Uint8Array;
    refresh_token: Uint8Array;
  }>(sql`select id, access_token, refresh_token from accounts where provider = ${provider}`);
  return rows.map(({ id, access_token, refresh_token }) => ({
    access: app.seal
      .open(access_token, { table: "accounts", row: id, column: "access_token" })
      .reveal(),
    refresh: app.seal
      .open(refresh_token, { table: "accounts", row: id, column: "refresh_token" })
      .reveal(),
  }));
}

test("a seller that has connected is not named by any public answer", async () => {
  await using world = await openWorld();
  await connectSeller(newVisitor(), { url: world.url });
  for (const path of [
    "/health",
    "/readyz",
    "/livez",
    "/api/mcp/mercadolibre/health",
    "/",
    "/mcp",
  ]) {
    expect(await (await fetch(`${world.url}${path}`)).text()).not.toMatch(/100200300|TIENDA_DEMO/);
  }
});
