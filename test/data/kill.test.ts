import { expect, test } from "bun:test";
import { randomInt } from "node:crypto";
import { startBundled } from "#db/embedded.ts";
import { openDatabase } from "#db/open.ts";
import { installPostgres } from "#test/support/database.ts";
import { type TemporaryHome, temporaryHome } from "./home.ts";
import { startScript } from "./script.ts";

/** Half of them in a home, half in another beside it. */
const rounds = 20;
const twoMinutes = 120_000;

type Victims = "gateway" | "gateway, then server" | "server, then gateway";

test(
  "no row that was acknowledged is lost in twenty rounds of kill -9 during writes",
  async () => {
    await Promise.all([killRounds(0, rounds / 2), killRounds(rounds / 2, rounds)]);
  },
  twoMinutes,
);

async function killRounds(first: number, end: number): Promise<void> {
  await using home = await temporaryHome();
  const acknowledged: string[] = [];
  for (let round = first; round < end; round++) {
    const written = await writeUntilKilled(home, victimsOf(round));
    expect(written.length).toBeGreaterThan(0);
    acknowledged.push(...written);
  }
  const stored = await storedIds(home);
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  // One row of each round may have been on its way.
  expect(stored.size - acknowledged.length).toBeLessThanOrEqual(end - first);
}

/** Every second round takes the server along. */
function victimsOf(round: number): Victims {
  if (round % 2 === 0) return "gateway";
  return round % 4 === 1 ? "gateway, then server" : "server, then gateway";
}

async function writeUntilKilled(home: TemporaryHome, victims: Victims): Promise<string[]> {
  await using writer = startScript(import.meta.resolve("./writer.ts"), [home.folder]);
  expect(await writer.nextLine()).toBe("READY");
  const ids: string[] = [];
  for (let left = randomInt(1, 400); left > 0; left--) {
    const id = await writer.nextLine();
    if (id !== undefined) ids.push(id);
  }
  if (victims === "server, then gateway") await home.killServer();
  await writer.kill();
  if (victims === "gateway, then server") await home.killServer();
  return [...ids, ...(await writer.remainingLines())];
}

async function storedIds(home: TemporaryHome): Promise<ReadonlySet<string>> {
  const bundled = await startBundled(home.folder, installPostgres);
  const open = openDatabase(bundled.url, 1);
  const rows = await open.sql<{ id: string }[]>`select id from people`;
  await open.close();
  await bundled.stop();
  expect(home.serverPid()).toBeUndefined();
  return new Set(rows.map((row) => row.id));
}
