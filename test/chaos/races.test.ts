import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "drizzle-orm";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Held, readHeld } from "#src/accounts/credential.ts";
import { createSemaphore } from "#src/http/semaphore.ts";
import { recoverNow } from "#src/accounts/recovery/recover.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import { renew } from "#src/accounts/refresh/renew.ts";
import { leaseRefresh, returnLease } from "#src/accounts/refresh/store.ts";
import { disconnect, finishDisconnecting } from "#src/accounts/revocation/disconnect.ts";
import { createSeal } from "#src/crypto/seal.ts";
import { asFailure } from "#src/failure.ts";
import { newBearer } from "#test/support/browser-like.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { refreshingAs } from "#test/support/refreshing.ts";
import { roomFor } from "#test/support/room.ts";
import { type World, openWorld } from "#test/support/world.ts";

/** Time in line counts too. */
setDefaultTimeout(120_000);

const room = roomFor(4);

/** A seller who is connected at a provider that ends a grant on reuse; the world's own gateway stands aside. */
const racing = () => room.hold(openRace);

async function openRace() {
  const world = await openWorld({
    endsOnReuse: true,
    environment: { PROVIDER_TIMEOUT_MS: "1000" },
  });
  await newBearer({ url: world.url });
  await world.gateway.stop();
  const provider = world.sandbox.providers.get("mercadolibre");
  const [row] = await world.app.db.execute<{ id: string }>(sql`select id from accounts`);
  if (provider === undefined || row === undefined) throw new Error("a seller is connected");
  return {
    world,
    provider,
    id: row.id,
    account: () => accountIn(world),
    answers: () => readdirSync(join(world.app.config.journal, "answers")),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

async function accountIn(world: World) {
  const [row] = await world.app.db.execute<{
    state: string;
    generation: number;
    last_error: string | null;
  }>(sql`select state, generation, last_error from accounts`);
  return row;
}

async function held(app: RefreshDeps, id: string): Promise<Held> {
  const found = await readHeld(app, id);
  if (found === undefined) throw new Error("there is an account");
  return found;
}

/** The generation that a refresh ended with, or the code of its failure. */
async function outcome(refresh: Promise<Held>): Promise<number | string> {
  return await refresh.then(
    ({ generation }) => generation,
    (error: unknown) => asFailure(error).code,
  );
}

const died = new Error("the process ends here");
const dieAt = (wanted: string) => (step: string) =>
  step === wanted ? Promise.reject(died) : Promise.resolve();

describe("intents", () => {
  test.concurrent("a lease that was given back leaves nobody waiting for a journal that has nothing", async () => {
    await using race = await racing();
    const { db } = race.world.app;
    const version = { id: race.id, generation: 1 };
    const lease = (journal: string) => ({ holder: journal, journal, seconds: 30 });
    const [gone, full, next] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
    expect(await leaseRefresh(db, version, lease(gone))).toMatchObject({ intents: 1 });
    await db.execute(sql`update accounts set lease_until = now() - interval '2 minutes'`);
    expect(await leaseRefresh(db, version, lease(full))).toMatchObject({ intents: 2 });
    await returnLease(db, version, full);
    expect(await leaseRefresh(db, version, lease(next))).toMatchObject({ intents: 2 });
  });

  test.concurrent("a generation that a binary without intents has stored owes nothing to the one before", async () => {
    await using race = await racing();
    await race.world.app.db.execute(sql`update accounts set intents = 2, intent_generation = 1,
      intent_journal = gen_random_uuid(), generation = 2, lease_until = null, lease_holder = null`);
    await using replica = await refreshingAs(race.world);
    expect(
      await outcome(renew(replica.app, await held(replica.app, race.id), { requestId: "x" })),
    ).toBe(3);
  });

  test.concurrent("a lease that commits after everybody has stopped waiting counts for nothing", async () => {
    await using race = await racing();
    await using replica = await refreshingAs(race.world);
    const known = await held(replica.app, race.id);
    for (let round = 0; round < 2; round++) {
      const [locked, lock] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const locking = race.world.database.open.db.transaction(async (transaction) => {
        await transaction.execute(sql`select id from accounts for update`);
        locked.resolve();
        await lock.promise;
      });
      await locked.promise;
      expect(await outcome(renew(replica.app, known, { requestId: "x" }))).toBe(
        "database_unavailable",
      );
      lock.resolve();
      await locking;
      await Bun.sleep(200);
    }
    expect(await outcome(renew(replica.app, known, { requestId: "x" }))).toBe(2);
    expect(race.provider.grants.live()).toBe(1);
  });
});

describe("a process that stands still", () => {
  test.concurrent("between lease and question asks nothing any more", async () => {
    await using race = await racing();
    await using stalled = await refreshingAs(race.world);
    const app = {
      ...stalled.app,
      atStep: (step: string) => (step === "room_made" ? Bun.sleep(7500) : undefined),
    };
    expect(await outcome(renew(app, await held(app, race.id), { requestId: "x" }))).toBe(
      "provider_busy",
    );
    expect(race.provider.asked.refresh_token).toBe(0);
    expect(race.answers()).toEqual([]);
    await using next = await refreshingAs(race.world);
    expect(await outcome(renew(next.app, await held(next.app, race.id), { requestId: "x" }))).toBe(
      2,
    );
    expect(race.provider.grants.reused()).toBe(0);
  });

  test.concurrent("after a refusal never drops the next one's answer", async () => {
    await using race = await racing();
    await using first = await refreshingAs(race.world);
    await using second = await refreshingAs(race.world);
    const circuitBreaker = first.app.circuitBreaker;
    const slow = {
      ...first.app,
      circuitBreaker: {
        ...circuitBreaker,
        failed: async (...about: Parameters<typeof circuitBreaker.failed>) => {
          await Bun.sleep(1000);
          await circuitBreaker.failed(...about);
        },
      },
    };
    race.provider.faults.push({ kind: "status", status: 500 });
    const refused = outcome(renew(slow, await held(slow, race.id), { requestId: "x" }));
    while (race.provider.asked.refresh_token === 0) await Bun.sleep(2);
    await Bun.sleep(100);
    await race.world.app.db.execute(sql`update accounts set retry_at = null`);
    const dying = { ...second.app, atStep: dieAt("journaled") };
    await outcome(renew(dying, await held(dying, race.id), { requestId: "x" }));
    expect(race.answers()).toHaveLength(1);
    await refused;
    expect(race.answers()).toHaveLength(1);
    second.app.journal.holders.leave();
    await race.world.app.db.execute(sql`update accounts set lease_until = now()`);
    await recoverNow(first.app);
    expect(await race.account()).toMatchObject({ state: "active", generation: 2 });
    expect(race.provider.grants.reused()).toBe(0);
  });
});

describe("recovery", () => {
  test.concurrent("keeps an answer whose account the database does not know yet", async () => {
    await using race = await racing();
    await using dying = await refreshingAs(race.world);
    const app = { ...dying.app, atStep: dieAt("journaled") };
    await outcome(renew(app, await held(app, race.id), { requestId: "x" }));
    const { db } = race.world.app;
    await db.execute(sql`create table aside as select * from accounts`);
    await db.execute(sql`delete from accounts`);
    await using early = await refreshingAs(race.world);
    await recoverNow(early.app);
    expect(race.answers()).toHaveLength(1);
    await db.execute(sql`insert into accounts select * from aside`);
    await recoverNow(early.app);
    expect(race.answers()).toEqual([]);
    expect(await race.account()).toMatchObject({ state: "active", generation: 2 });
  });

  test.concurrent("leaves an answer alone whose key is not configured, until it is", async () => {
    await using race = await racing();
    await using dying = await refreshingAs(race.world);
    const app = { ...dying.app, atStep: dieAt("journaled") };
    await outcome(renew(app, await held(app, race.id), { requestId: "x" }));
    await race.world.app.db.execute(sql`update accounts set lease_until = now()`);
    const seal = createSeal([Buffer.alloc(32, 9)]);
    await using stranger = await refreshingAs(race.world, (each) => ({ ...each, seal }));
    await recoverNow(stranger.app);
    expect(race.answers()).toHaveLength(1);
    expect(await race.account()).toMatchObject({ state: "active", generation: 1 });
    await using next = await refreshingAs(race.world);
    await recoverNow(next.app);
    expect(race.answers()).toEqual([]);
    expect(await race.account()).toMatchObject({ state: "active", generation: 2 });
    expect(race.provider.grants.reused()).toBe(0);
  });

  test.concurrent("is not stopped by something strange in its folder", async () => {
    await using race = await racing();
    await using dying = await refreshingAs(race.world);
    const app = { ...dying.app, atStep: dieAt("journaled") };
    await outcome(renew(app, await held(app, race.id), { requestId: "x" }));
    mkdirSync(join(race.world.app.config.journal, "holders", crypto.randomUUID()));
    await using next = await refreshingAs(race.world);
    await recoverNow(next.app);
    expect(await race.account()).toMatchObject({ state: "active", generation: 2 });
  });
});

test.concurrent("a person who connects again is newer than every journal, also one elsewhere that knows more", async () => {
  await using race = await racing();
  const elsewhere = await temporaryFolder();
  await using other = await refreshingAs(race.world, (app) => ({
    ...app,
    config: { ...app.config, journal: join(elsewhere, "journal") },
  }));
  other.app.journal.marks.saw({ id: race.id, generation: 40 });
  const { replaceCredential, accountById } = await import("#src/accounts/store.ts");
  const account = await accountById(race.world.app.db, race.id);
  if (account === undefined) throw new Error("there is an account");
  const { accessToken, refreshToken, accessExpiresAt, refreshExpiresAt, refreshFrom } = account;
  const credential = { accessToken, refreshToken, accessExpiresAt, refreshExpiresAt, refreshFrom };
  await replaceCredential(race.world.app.db, { id: race.id, known: 0 }, credential);
  const known = await held(other.app, race.id);
  expect(await outcome(renew(other.app, known, { requestId: "x" }))).toBe(100_001);
});

describe("disconnecting", () => {
  test.concurrent("waits for a refresh that is under way, and takes back what it brings", async () => {
    await using race = await racing();
    await using replica = await refreshingAs(race.world);
    const app = { ...replica.app, applyRevocations: () => 0 };
    race.provider.faults.push({ kind: "slow", ms: 500 });
    const refresh = outcome(renew(app, await held(app, race.id), { requestId: "x" }));
    while (race.provider.asked.refresh_token === 0) await Bun.sleep(2);
    const done = await disconnect(app, race.id, { why: "test" });
    expect(await refresh).toBe(2);
    expect(done.atProvider).toBe("taken_back");
    expect(race.provider.grants.live()).toBe(0);
    expect(await race.account()).toMatchObject({ state: "revoked" });
  });

  test.concurrent("is given up after a week, although each try renews the token", async () => {
    await using race = await racing();
    await using replica = await refreshingAs(race.world);
    const outbound: RefreshDeps["outbound"] = (url, request) =>
      request.method === "DELETE"
        ? Promise.resolve({ status: 403, headers: new Headers(), text: "" })
        : replica.app.outbound(url, request);
    const app = { ...replica.app, outbound, applyRevocations: () => 0 };
    const { db } = race.world.app;
    expect((await disconnect(app, race.id, { why: "test" })).atProvider).toBe("pending");
    for (let day = 1; day <= 8; day++) {
      await db.execute(sql`update accounts set retry_at = now(), access_expires_at = now(),
        failing_since = failing_since - interval '1 day'`);
      await finishDisconnecting(app);
    }
    expect(await race.account()).toMatchObject({ state: "revoked" });
  });
});

test.concurrent("whoever has waited too long leaves the line, and takes no turn with it", async () => {
  const turns = createSemaphore(1, 10);
  const giveBack = await turns.take(0);
  const late = await Promise.all([turns.take(10), turns.take(20), turns.take(30)]);
  expect(late).toEqual([undefined, undefined, undefined]);
  const waiting = turns.take(1000);
  giveBack?.();
  const next = await waiting;
  expect(next).toBeFunction();
  next?.();
  expect(await turns.take(0)).toBeFunction();
});
