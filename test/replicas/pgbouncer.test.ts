import { beforeAll, expect, test } from "bun:test";
import { migrate } from "#db/migrate.ts";
import { migrations } from "#db/migrations/embedded.ts";
import { openDatabase } from "#db/open.ts";
import { debianProgram } from "#test/support/debian.ts";
import { emptyDatabase } from "#test/support/database.ts";
import { freePort } from "#test/support/process.ts";
import { answered, behindPgbouncer, endSession, whoami } from "./behind-pgbouncer.ts";
import { gatewaysOn } from "./gateways.ts";
import { poolSize, startPgbouncer } from "./pgbouncer.ts";

// The first run downloads it.
beforeAll(() => debianProgram("pgbouncer"), 200_000);

test("a gateway refuses a database without tables; of thirty migrators behind PgBouncer one wins; then it serves", async () => {
  await using database = await emptyDatabase();
  await using pgbouncer = await startPgbouncer(database.url);
  const port = await freePort();
  const publicUrl = `http://localhost:${port}`;
  await using gateways = await gatewaysOn({ databaseUrl: pgbouncer.url, publicUrl });
  const { exit, stderr } = await gateways.refusal();
  expect({ exit, stderr }).toEqual({
    exit: 1,
    stderr: expect.stringContaining("code: migrations_pending"),
  });

  const open = openDatabase(pgbouncer.url, 30);
  const outcomes = await Promise.all(Array.from({ length: 30 }, () => migrate(open.sql)));
  const { clients } = await pgbouncer.pool();
  await open.close();
  expect(clients).toBeGreaterThanOrEqual(30);
  const winners = outcomes.filter(({ applied }) => applied.length > 0);
  expect(winners).toEqual([{ applied: migrations.map(({ name }) => name) }]);

  await using gateway = await gateways.start(port);
  expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
});

test("two gateways behind PgBouncer: connected, called, renewed once for 100 calls, and an ended session is ended on both", async () => {
  await using world = await behindPgbouncer();
  const { provider, pgbouncer, bearer } = world;
  const [first, second] = world.replicas;
  expect(await answered(world, 2)).toBe(2);

  provider.grants.expireAccess();
  expect(await answered(world, 100)).toBe(100);
  expect(provider.asked.refresh_token).toBe(1);

  const pool = await pgbouncer.pool();
  expect(pool.mode).toBe("transaction");
  expect(pool.servers).toBeLessThanOrEqual(poolSize);
  expect(pool.clients).toBeGreaterThan(poolSize);

  await endSession(world);
  const endedAt = performance.now();
  expect((await whoami(first, bearer)).status).toBe(401);
  while ((await whoami(second, bearer)).status !== 401) {
    expect(performance.now() - endedAt).toBeLessThan(2000);
    await Bun.sleep(20);
  }
  const milliseconds = performance.now() - endedAt;
  expect(milliseconds).toBeLessThan(2000);
  console.log(
    `PgBouncer: ${pool.transactions} transactions of ${pool.clients} clients on ${pool.servers} connections; ` +
      `the other gateway refused the ended session after ${milliseconds.toFixed(0)} ms`,
  );
});
