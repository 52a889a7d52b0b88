import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startBundled } from "#db/embedded.ts";
import { type RefreshStep, refreshSteps } from "#src/accounts/refresh/deps.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { startSandbox } from "#src/sandbox/sandbox.ts";
import { forwardTcp } from "#test/cli/forwarder.ts";
import { type TemporaryHome, temporaryHome } from "#test/data/home.ts";
import { connectSeller, mintBearer, newVisitor } from "#test/support/browser-like.ts";
import { installPostgres } from "#test/support/database.ts";
import { roomFor } from "#test/support/room.ts";
import { encryptionKey, withoutGuards } from "#test/support/world.ts";
import { chaosWorld, isAnswered, patientMs, settledCall, startVictim, whoami } from "./chaos.ts";
import { rounds } from "#test/support/rounds.ts";
import { printTable } from "./table.ts";

const outages = rounds(1, 50);
const limitMs = rounds(300_000, 3_600_000);
/** The one step at which a gateway that dies may lose an answer: it is in memory alone. */
const isWindow = (step: RefreshStep) => step === "answered";

const table: string[][] = [];
afterAll(() =>
  printTable(["killed", "at", "rounds", "kept", "lost", "longest until answered"], table),
);

/** A home with a bundled PostgreSQL that has been unpacked and initialised, and stopped in order. */
let prepared: TemporaryHome;
beforeAll(async () => {
  prepared = await temporaryHome();
  const bundled = await startBundled(prepared.folder, installPostgres);
  await bundled.stop();
});
afterAll(() => prepared[Symbol.asyncDispose]());

const victims = {
  database: "the bundled PostgreSQL is killed with -9",
  both: "the bundled PostgreSQL and its gateway are killed with -9",
} as const;

describe.each(["database", "both"] as const)("%s", (word) => {
  test.concurrent.each(refreshSteps)(
    `${victims[word]} at %s`,
    async (step) => {
      await using world = await bundledWorld();
      let [lost, longest] = [0, 0];
      for (let round = 0; round < outages; round++) {
        world.grants.expireAccess();
        await world.gateway().arm(word, step);
        const begun = performance.now();
        const first = await whoami(world.gateway().url, world.bearer());
        if (word === "both") expect(first.status).toBe(0);
        if (word === "both") await world.restart();
        const answer = await settledCall(world.gateway().url, world.bearer());
        longest = Math.max(longest, performance.now() - begun);
        if (isAnswered(answer)) continue;
        expect(answer.text).toContain("reconnect_needed");
        lost += 1;
        await world.connectAgain();
      }
      table.push([
        word,
        step,
        ...[outages, outages - lost, lost].map(String),
        `${Math.round(longest)} ms`,
      ]);
      if (word === "database" || !isWindow(step)) expect(lost).toBe(0);
      expect(world.grants.reused()).toBe(lost);
    },
    limitMs,
  );
});

const room = roomFor(3);

/** A gateway with its own PostgreSQL, a provider that ends a grant on reuse, and a connected seller. */
const bundledWorld = () => room.hold(openBundledWorld);

async function openBundledWorld() {
  const home = await temporaryHome();
  await copyPrepared(home);
  const sandbox = startSandbox(bunRuntime, {
    accessSeconds: 3600,
    now: Date.now,
    endsOnReuse: true,
  });
  const environment = {
    ...sandbox.environment,
    SMARTDASH_HOME: home.folder,
    DATABASE_URL: "",
    ENCRYPTION_KEY: encryptionKey,
    PORT: "0",
    LOG_LEVEL: "error",
    SMARTDASH_SIGNUP: "open",
    SMARTDASH_CLIENT_DOCUMENTS: "bundled",
    PROVIDER_TIMEOUT_MS: patientMs,
    DRAIN_MS: "200",
    ...withoutGuards,
  };
  let bearer = "";
  const start = () => startVictim(environment, bearer);
  let gateway = await start();
  const visitor = newVisitor();
  await connectSeller(visitor, { url: gateway.url });
  bearer = await mintBearer(visitor, gateway.url);
  const provider = sandbox.providers.get("mercadolibre");
  if (provider === undefined) throw new Error("Mercado Libre is simulated");
  return {
    grants: provider.grants,
    gateway: () => gateway,
    bearer: () => bearer,
    restart: async () => {
      await gateway.kill();
      gateway = await start();
    },
    connectAgain: () => connectSeller(visitor, { url: gateway.url }),
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      await sandbox.stop();
      await home[Symbol.asyncDispose]();
    },
  };
}

/** The server's user keeps what is its own. */
async function copyPrepared(home: TemporaryHome): Promise<void> {
  const copy = Bun.spawn(["cp", "-a", `${prepared.folder}/.`, home.folder]);
  expect(await copy.exited).toBe(0);
}

test.concurrent(
  "thirty seconds without a database: calls go on, health says degraded, and all is well afterwards",
  async () => {
    await using world = await chaosWorld();
    await using away = await forwardTcp(world.database.url);
    await using gateway = await world.start({ DATABASE_URL: away.url });
    expect(isAnswered(await gateway.call())).toBe(true);
    expect(await healthOf(gateway.url)).toEqual({ http: 200, status: "pass", output: undefined });
    away.shut();
    const outage = { answered: 0, others: 0, longest: 0 };
    const begun = performance.now();
    while (performance.now() - begun < 30_000) {
      const at = performance.now();
      const { status } = await whoami(gateway.url, world.bearer);
      outage.longest = Math.max(outage.longest, performance.now() - at);
      outage[status === 200 ? "answered" : "others"] += 1;
      await Bun.sleep(20);
    }
    expect(await healthOf(gateway.url)).toEqual({ http: 200, status: "warn", output: "degraded" });
    away.open();
    const back = performance.now();
    while ((await healthOf(gateway.url)).status !== "pass") await Bun.sleep(20);
    const recovered = performance.now() - back;
    printTable(
      ["outage", "answered", "not", "longest", "health passes after"],
      [
        [
          "30 s",
          String(outage.answered),
          String(outage.others),
          `${Math.round(outage.longest)} ms`,
          `${Math.round(recovered)} ms`,
        ],
      ],
    );
    expect(outage.others).toBe(0);
    expect(recovered).toBeLessThan(5000);
    world.provider.grants.expireAccess();
    expect(isAnswered(await settledCall(gateway.url, world.bearer))).toBe(true);
  },
  limitMs,
);

test.concurrent("a fail-over in the middle of queries costs no call and no grant", async () => {
  await using world = await chaosWorld();
  await using gateway = await world.start();
  for (let round = 0; round < 20; round++) {
    world.provider.grants.expireAccess();
    const call = settledCall(gateway.url, world.bearer);
    await Bun.sleep(round);
    await world.sql`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'smartdash' and datname = current_database()
        and pid <> pg_backend_pid()`.catch(() => undefined);
    expect(isAnswered(await call)).toBe(true);
  }
  expect(world.provider.grants.reused()).toBe(0);
}, 120_000);

async function healthOf(url: string) {
  const answer = await fetch(`${url}/health`);
  const { status, output } = (await answer.json()) as { status: string; output?: string };
  return { http: answer.status, status, output };
}
