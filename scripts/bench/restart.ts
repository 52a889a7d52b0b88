import { startGateway } from "./gateway.ts";
import type { StartedGateway } from "./gateway.ts";
import type { Bench } from "./idle-streams.ts";
import type { PacedCallsAnswer } from "./jobs.ts";
import { echoCall } from "./messages.ts";
import { own } from "./owned.ts";
import type { Column } from "./columns.ts";

/** Each has its own moment at which the gateway would ask the database for it again. */
const accounts = 64;
const perSecond = 400;
const warmMillis = 6000;
const quietMillis = 3000;
const leadMillis = 500;
/** Longer than anything the gateway knows stays fresh (5 s), and than it waits for the database twice (10 s). */
const awayMillis = 12_000;
const tailMillis = 3000;
const roundsAtMost = 2;

/**
 * Calls at an even pace while PostgreSQL goes and comes back under the gateway: once stopped and started again at
 * once, as an upgrade does, once killed and away for longer than the gateway's caches stay fresh.
 */
export async function measureRestart(bench: Bench): Promise<void> {
  const gateway = await startGateway(bench.upstreamUrl, { accounts });
  if (gateway === undefined) return;
  const stop = own(() => gateway.stop());
  const { database } = gateway;
  await call(bench, gateway, warmMillis);
  for (let round = 0; round < Math.min(bench.plan.rounds, roundsAtMost); round += 1) {
    add(bench, "before", await call(bench, gateway, quietMillis));
    await callDuring(bench, gateway, "restarted", {
      end: () => database.stop(),
      awayMillis: 0,
    });
    add(bench, "after", await call(bench, gateway, quietMillis));
    await callDuring(bench, gateway, "away", { end: () => database.kill(), awayMillis });
    add(bench, "after", await call(bench, gateway, quietMillis));
  }
  await stop();
}

type Going = { end(): Promise<void>; readonly awayMillis: number };

async function callDuring(
  bench: Bench,
  gateway: StartedGateway,
  column: Column,
  going: Going,
): Promise<void> {
  const calls = call(bench, gateway, leadMillis + going.awayMillis + tailMillis);
  // What fails meanwhile is told when the calls have ended.
  calls.catch(() => undefined);
  await Bun.sleep(leadMillis);
  const goneAt = performance.now();
  await going.end();
  await Bun.sleep(going.awayMillis);
  await gateway.database.start();
  bench.readings.add(column, "awayMillis", performance.now() - goneAt);
  add(bench, column, await calls);
}

function call({ run }: Bench, { url, bearers }: StartedGateway, measureMillis: number) {
  const sent = { url, headers: {}, bearers, body: echoCall, expects: '"result"' };
  return run("pacedCalls", { ...sent, perSecond, measureMillis });
}

function add({ readings }: Bench, column: Column, answer: PacedCallsAnswer): void {
  readings.add(column, "pacedCalls", answer.calls);
  readings.add(column, "pacedP50", answer.p50Millis);
  readings.add(column, "pacedP99", answer.p99Millis);
  readings.add(column, "pacedLongest", answer.longestMillis);
  readings.add(column, "pacedFailures", answer.failures);
  if (answer.failures === 0) return;
  readings.notes.push(`${column}: ${answer.failures} failed, first: ${answer.firstFailure}`);
}
