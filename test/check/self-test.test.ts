import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  type SelfTestDeps,
  clientsServed,
  healthAnswers,
  killSwitchHolds,
  limitsHold,
  oneRefresh,
  streamOpensAndEnds,
} from "#src/check/calls.ts";
import type { CheckResult } from "#src/check/result.ts";
import { oauthFlows } from "#src/check/flows.ts";
import { alertsArrive, canariesSilent } from "#src/check/observed.ts";
import { connect, openSelfTest } from "#src/check/self-test/environment.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { rejection } from "#test/data/rejection.ts";
import { type World, openWorld } from "#test/support/world.ts";

setDefaultTimeout(60_000);

/** Each executed check is well on a gateway that is well, and says so when something of it is not. */
let world: World;
let selfTesting: SelfTestDeps;
beforeAll(async () => {
  world = await openWorld();
  const selfTest = await openSelfTest(world.app, world.environment, bunRuntime);
  const connected = await connect(selfTest, { provider: "mercadolibre", seller: "100200301" });
  selfTesting = { ...selfTest, connected };
});
afterAll(async () => {
  await selfTesting[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

function bad(findings: readonly CheckResult[]): readonly string[] {
  return findings.filter(({ status }) => status !== "pass").map(({ code }) => code);
}

const provider = () => selfTesting.sandbox.providers.get("mercadolibre")!;
const withBearer = (bearer: string): SelfTestDeps => ({
  ...selfTesting,
  connected: { ...selfTesting.connected, bearer },
});
/** A server that answers everything in one way, in place of the gateway. */
async function inPlaceOf(answer: () => Response, look: (world: SelfTestDeps) => unknown) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  try {
    return await look({ ...selfTesting, url: `http://127.0.0.1:${server.port}` });
  } finally {
    await server.stop(true);
  }
}

test("all of them are well on a gateway that is well", async () => {
  const all = [
    clientsServed,
    oneRefresh,
    streamOpensAndEnds,
    healthAnswers,
    limitsHold,
    alertsArrive,
    canariesSilent,
    killSwitchHolds,
  ];
  for (const look of all) expect([look.name, ...bad(await look(selfTesting))]).toEqual([look.name]);
  expect(bad(await oauthFlows(selfTesting))).toEqual([]);
});

test("a provider that does not hand out tokens fails the flows", async () => {
  for (let turn = 0; turn < 3; turn++) provider().faults.push({ kind: "status", status: 500 });
  expect(bad(await oauthFlows(selfTesting))).toContain("oauth_flow_failed");
  provider().faults.length = 0;
});

test("a refresh that fails, and clients without a bearer, are found", async () => {
  for (let turn = 0; turn < 3; turn++) provider().faults.push({ kind: "status", status: 500 });
  expect(bad(await oneRefresh(selfTesting))).toEqual(["proxy_failed"]);
  provider().faults.length = 0;
  const lost = bad(await clientsServed(withBearer("sd_ses_nobody")));
  expect(new Set(lost)).toEqual(new Set(["client_fails"]));
});

test("a gateway without limits, without health, and a stream that never begins or ends are found", async () => {
  const ok = () => Response.json({});
  expect(bad((await inPlaceOf(ok, limitsHold)) as CheckResult[])).toEqual([
    "limit_missing",
    "limit_missing",
    "limit_missing",
  ]);
  const down = () => new Response("TIENDA_DEMO", { status: 503 });
  expect(new Set(bad((await inPlaceOf(down, healthAnswers)) as CheckResult[]))).toEqual(
    new Set(["health_failed"]),
  );
  const unnoticed = bad((await inPlaceOf(ok, streamOpensAndEnds)) as CheckResult[]);
  expect(unnoticed).toEqual(["proxy_failed"]);
});

test("what is not simulated, and a page that is not shown, are no reason to call anything well", async () => {
  const [profile] = selfTesting.profiles;
  const elsewhere = { ...selfTesting, profiles: [{ ...profile!, name: "nowhere" }] };
  expect(bad(await oneRefresh(elsewhere))).toEqual(["not_looked_at"]);
  const hidden = { ...selfTesting, secrets: { ...selfTesting.secrets, METRICS_TOKEN: "wrong" } };
  expect(await rejection(canariesSilent(hidden))).toMatchObject({
    message: expect.stringContaining("/metrics"),
  });
});

test("a switch that changes nothing, an alert that is not signed, and a secret in the log are found", async () => {
  expect(bad((await inPlaceOf(() => Response.json({}), killSwitchHolds)) as CheckResult[])).toEqual(
    ["switch_failed"],
  );
  const unsigned = {
    ...selfTesting,
    secrets: { ...selfTesting.secrets, ALERT_WEBHOOK_SECRET: "whsec_AAAA" },
  };
  expect(bad(await alertsArrive(unsigned))).toEqual(["alert_not_delivered"]);
  const { bearer } = selfTesting.connected;
  const leaky = { ...selfTesting, log: () => `told ${Buffer.from(bearer).toString("base64")}` };
  expect(bad(await canariesSilent(leaky))).toEqual(["secret_leaked"]);
});
