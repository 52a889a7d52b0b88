import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { addCrowd } from "#test/support/crowd.ts";
import { startServe } from "#test/support/process.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { type World, openWorld } from "#test/support/world.ts";
import { whoami } from "./chaos.ts";
import { printTable } from "./table.ts";

const crowd = 1000;
const mostAtOnce = 8;
const twoMinutes = 120_000;

test(
  `${crowd} accounts that expire in the same second on two processes are each refreshed once`,
  async () => {
    await using world = await openWorld({ endsOnReuse: true, tokenMs: 20 });
    const provider = world.sandbox.providers.get("mercadolibre");
    const bearers = await addCrowd(world, crowd);
    const elsewhere = await temporaryFolder();
    // The world's own gateway stands aside: the two processes do all the work.
    await world.gateway.stop();
    await using first = await startServe(world.environment);
    await using second = await startServe({ ...world.environment, SMARTDASH_HOME: elsewhere });
    await world.app.db.execute(
      sql`update accounts set access_expires_at = now(), refresh_from = now()`,
    );
    provider?.grants.expireAccess();

    const begun = performance.now();
    const calls = { answered: 0, others: 0, longest: 0 };
    while ((await left(world)) > 0 && performance.now() - begun < twoMinutes) {
      await callSome([first.url, second.url], bearers, calls);
    }
    const seconds = (performance.now() - begun) / 1000;
    printTable(
      [
        "accounts",
        "refreshes",
        "sent twice",
        "at once, most",
        "seconds",
        "calls meanwhile",
        "longest",
      ],
      [
        [
          String(crowd),
          String(provider?.asked.refresh_token),
          String(provider?.grants.reused()),
          `${provider?.most()} of ${mostAtOnce}`,
          seconds.toFixed(1),
          `${calls.answered} answered, ${calls.others} not`,
          `${Math.round(calls.longest)} ms`,
        ],
      ],
    );
    expect(await left(world)).toBe(0);
    expect(provider?.asked.refresh_token).toBe(crowd);
    expect(provider?.grants.reused()).toBe(0);
    expect(provider?.most()).toBeLessThanOrEqual(mostAtOnce);
    expect(calls.others).toBe(0);
    expect(calls.answered).toBeGreaterThan(100);
  },
  twoMinutes + 30_000,
);

type Calls = { answered: number; others: number; longest: number };

/** Three calls on each, of anybody. */
async function callSome(
  urls: readonly string[],
  bearers: readonly string[],
  calls: Calls,
): Promise<void> {
  const anybody = () => bearers[Math.floor(Math.random() * bearers.length)] ?? "";
  const at = performance.now();
  const some = urls.flatMap((url) => [url, url, url]).map((url) => whoami(url, anybody()));
  const answers = await Promise.all(some);
  calls.longest = Math.max(calls.longest, performance.now() - at);
  for (const { status } of answers) calls[status === 200 ? "answered" : "others"] += 1;
}

async function left(world: World): Promise<number> {
  const [row] = await world.app.db.execute<{ left: number }>(
    sql`select count(*)::int as left from accounts where generation = 1`,
  );
  return row?.left ?? 0;
}
