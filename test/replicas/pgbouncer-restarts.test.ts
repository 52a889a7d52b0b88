import { beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { debianProgram } from "#test/support/debian.ts";
import {
  type BehindPgbouncer,
  answered,
  behindPgbouncer,
  endSession,
  pressEndSession,
  whoami,
} from "./behind-pgbouncer.ts";
import type { Replica } from "./gateways.ts";
import { SteadyCalls } from "./load.ts";

// The first run downloads it.
beforeAll(() => debianProgram("pgbouncer"), 200_000);

/** So long that what a gateway knows about a bearer is due to be looked at again. */
const longerThanFreshMs = 6000;
/** So long that whoever connects again waits about a second between two tries. */
const longerThanBackoffMs = 2000;

test("PgBouncer is restarted, and no call notices; afterwards both gateways write again", async () => {
  await using world = await behindPgbouncer();
  const { pgbouncer, provider, bearer } = world;
  expect(await answered(world, 2)).toBe(2);
  const load = steadily(world, async (replica) => {
    const { status, text, isAnswered } = await whoami(replica, bearer);
    return isAnswered ? undefined : `${status} ${text}`;
  });
  for (const awayMs of [0, 0, longerThanFreshMs]) {
    await load.passes(50);
    await pgbouncer.stop();
    await Bun.sleep(awayMs);
    await load.passes(50);
    await pgbouncer.start();
  }
  await load.passes(50);
  await load.end();
  expect(load.failed).toEqual([]);
  console.log(`PgBouncer: restarted three times under ${load.calls} calls`);

  for (const replica of world.replicas) await ready(replica);
  provider.grants.expireAccess();
  expect(await answered(world, 20)).toBe(20);
  expect(provider.asked.refresh_token).toBe(1);
  await endSession(world);
  expect((await whoami(world.replicas[0], bearer)).status).toBe(401);
});

test("PgBouncer is restarted twelve times under questions to the database; then every connection answers again", async () => {
  await using world = await behindPgbouncer();
  const { pgbouncer } = world;
  const load = steadily(world, async (replica) => void (await whoami(replica, strangeBearer())));
  for (let restart = 0; restart < 12; restart++) {
    await load.passes(40);
    await pgbouncer.stop();
    await pgbouncer.start();
  }
  await load.passes(40);
  await load.end();
  for (const replica of world.replicas) {
    await ready(replica);
    const questions = Array.from({ length: 40 }, () => whoami(replica, strangeBearer()));
    const statuses = (await Promise.all(questions)).map(({ status }) => status);
    expect(statuses).toEqual(Array.from({ length: 40 }, () => 401));
  }
});

test("PgBouncer is restarted in the middle of a transaction: that one fails, the next succeeds, the gateway ends in order", async () => {
  await using world = await behindPgbouncer();
  const { pgbouncer, sql, bearer } = world;
  const [first] = world.replicas;
  const press = await pressEndSession(world);
  let pressed: Promise<Response> | undefined;
  await sql.begin(async (transaction) => {
    await transaction`lock table sessions in access exclusive mode`;
    pressed = press();
    await someoneWaitsForALock(sql);
    await pgbouncer.stop();
  });
  expect((await pressed)?.status).toBe(503);
  await pgbouncer.start();
  await ready(first);
  expect((await whoami(first, bearer)).status).toBe(200);
  expect((await press()).status).toBe(303);
  expect((await whoami(first, bearer)).status).toBe(401);
  expect(await first.leave()).toBe(0);
});

test("gateways that are told to stop just when the database is back end in order", async () => {
  await using world = await behindPgbouncer();
  const { pgbouncer, replicas } = world;
  await pgbouncer.stop();
  await Bun.sleep(longerThanBackoffMs);
  await pgbouncer.start();
  expect(await Promise.all(replicas.map((replica) => replica.leave()))).toEqual([0, 0]);
});

/** Of the right shape, and nobody's: the database has to be asked. */
function strangeBearer(): string {
  return `sd_ses_${randomBytes(32).toString("base64url")}`;
}

async function someoneWaitsForALock(sql: BehindPgbouncer["sql"]): Promise<void> {
  const waiting = () => sql`select 1 from pg_locks where not granted`;
  for (let look = 0; (await waiting()).length === 0; look++) {
    expect(look).toBeLessThan(500);
    await Bun.sleep(10);
  }
}

/** Within ten seconds the database answers it again. */
async function ready({ url }: Replica): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const answer = await fetch(`${url}/readyz`);
    const { status } = (await answer.json()) as { status: string };
    if (status === "pass") return;
    expect(Date.now()).toBeLessThan(deadline);
    await Bun.sleep(50);
  }
}

/** Eight callers, four on each gateway. */
function steadily(
  world: BehindPgbouncer,
  call: (replica: Replica) => Promise<string | undefined>,
): SteadyCalls {
  const callers = world.replicas.map((replica) => () => call(replica));
  return new SteadyCalls(
    [0, 1, 2, 3].flatMap(() => callers),
    5,
  );
}
