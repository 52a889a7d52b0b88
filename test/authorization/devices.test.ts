import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { formIn, registerAgent, tokenRequest } from "#test/support/agent-like.ts";
import { connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { openWorld, type World } from "#test/support/world.ts";

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";

type Device = {
  device_code: string;
  user_code: string;
  interval: number;
  verification_uri: string;
};

async function begin(world: World) {
  const { client_id } = await registerAgent(world.url, {
    grant_types: [deviceGrant, "refresh_token"],
    redirect_uris: undefined,
  });
  const body = new URLSearchParams({ client_id, scope: "mcp:read" });
  const answer = await fetch(`${world.url}/device_authorization`, { method: "POST", body });
  const device = (await answer.json()) as Device;
  const poll = async () => {
    const fields = { grant_type: deviceGrant, client_id, device_code: device.device_code };
    const polled = await tokenRequest(world.url, fields);
    const said = (await polled.json()) as { error?: string; scope?: string };
    return said.error ?? said.scope;
  };
  return { device, poll };
}

/** The interval is over. */
const wait = (world: World) =>
  world.app.db.execute(sql`update device_codes set polled_at = polled_at - interval '1 hour'`);

test("a device waits, is slowed down when it asks too often, and gets its grant once", async () => {
  await using world = await openWorld();
  const { device, poll } = await begin(world);
  expect(device.user_code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
  expect(await poll()).toBe("authorization_pending");
  expect(await poll()).toBe("slow_down");
  const [row] = await world.app.db.execute(sql`select interval_seconds from device_codes`);
  expect(row).toEqual({ interval_seconds: 10 });
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const page = await visitor.get(`${device.verification_uri}?user_code=${device.user_code}`);
  const html = await page.text();
  expect(html).toContain("Test agent");
  expect(html).toContain(device.user_code);
  expect(
    (await visitor.post(`${world.url}/device/decision`, { ...formIn(html), decision: "allow" }))
      .status,
  ).toBe(200);
  await wait(world);
  expect(await poll()).toBe("mcp:read");
  await wait(world);
  expect(await poll()).toBe("invalid_grant");
});

test("a person who says no, and a code that is too old, are told to the device", async () => {
  await using world = await openWorld();
  const refused = await begin(world);
  const visitor = newVisitor();
  await connectSeller(visitor, { url: world.url });
  const page = await visitor.get(`${world.url}/device?user_code=${refused.device.user_code}`);
  await visitor.post(`${world.url}/device/decision`, {
    ...formIn(await page.text()),
    decision: "deny",
  });
  expect(await refused.poll()).toBe("access_denied");
  const late = await begin(world);
  await world.app.db.execute(sql`update device_codes set expires_at = now() - interval '1 second'`);
  expect(await late.poll()).toBe("expired_token");
  const gone = await visitor.get(`${world.url}/device?user_code=${late.device.user_code}`);
  expect(gone.status).toBe(400);
});

test("whoever tries codes is slowed down", async () => {
  await using world = await openWorld();
  const visitor = newVisitor();
  const statuses = [];
  for (let attempt = 0; attempt < 12; attempt++) {
    statuses.push((await visitor.get(`${world.url}/device?user_code=BCDF-GHJK`)).status);
  }
  expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 400));
  expect(statuses.at(-1)).toBe(429);
});

test("codes are kept as keyed fingerprints", async () => {
  await using world = await openWorld();
  const { device } = await begin(world);
  const [row] = await world.app.db.execute<{ all: string }>(
    sql`select d::text as all from device_codes d`,
  );
  const plain = new Bun.CryptoHasher("sha256")
    .update(device.user_code.replace("-", ""))
    .digest("hex");
  for (const secret of [device.user_code, device.device_code, plain]) {
    expect(row?.all).not.toContain(secret);
  }
});
