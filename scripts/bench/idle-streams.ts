import { callsThrough, firstEventsOf } from "./call-rounds.ts";
import type { Plan } from "./call-rounds.ts";
import type { RunJob } from "./load-generator.ts";
import { family, residentKilobytes } from "./processes.ts";
import type { Readings } from "./readings.ts";
import { startTarget } from "./targets.ts";
import type { Target, TargetName } from "./targets.ts";

export type Bench = {
  readonly run: RunJob;
  readonly upstreamUrl: string;
  readonly plan: Plan;
  readonly readings: Readings;
};

const streamCount = 2000;
const settleMillis = 1000;
const roundsAtMost = 2;

/**
 * Idle streams: each target is started afresh for its turn, since memory that a process once had is not asked for again,
 * and nothing else runs beside it, since the upstream counts the streams of everybody.
 */
export async function measureIdleStreams(
  bench: Bench & { readonly names: readonly TargetName[] },
): Promise<void> {
  for (let round = 0; round < Math.min(bench.plan.rounds, roundsAtMost); round += 1) {
    for (const name of bench.names) {
      const target = await startTarget(name, bench.upstreamUrl);
      if (target === undefined) continue;
      try {
        await holdStreams(bench, target);
      } finally {
        await target.stop();
      }
    }
  }
}

async function holdStreams(bench: Bench, target: Target): Promise<void> {
  const { run, upstreamUrl, plan, readings } = bench;
  const { name, url, headers } = target;
  // Code that only a first call or a first stream loads is no part of a stream's memory.
  await callsThrough(run, target, 1, 0.25);
  await firstEventsOf(run, target, 0.1);
  await Bun.sleep(settleMillis);
  const pids = family(target.pid);
  const before = residentKilobytes(pids);
  await run("openStreams", { url, headers, count: streamCount });
  await Bun.sleep(settleMillis);
  const after = residentKilobytes(pids);
  const reached = await openAtUpstream(upstreamUrl);
  if (reached !== streamCount) {
    readings.notes.push(`${name}: the upstream saw ${reached} of ${streamCount} streams`);
  }
  if (before !== undefined && after !== undefined) {
    readings.add(name, "streamKilobytes", (after - before) / streamCount);
  }
  const calls = await callsThrough(run, target, 1, plan.seconds);
  readings.add(name, "heldP50", calls.p50Micros / 1000);
  readings.add(name, "heldP99", calls.p99Micros / 1000);
  await run("closeStreams", undefined);
  readings.add(name, "leftOpen", await leftOpen(upstreamUrl));
}

/** How many streams the upstream still has two seconds after the clients left; sooner, if none is left sooner. */
async function leftOpen(upstreamUrl: string): Promise<number> {
  const endAt = performance.now() + 2000;
  let open = await openAtUpstream(upstreamUrl);
  while (open > 0 && performance.now() < endAt) {
    await Bun.sleep(100);
    open = await openAtUpstream(upstreamUrl);
  }
  return open;
}

async function openAtUpstream(upstreamUrl: string): Promise<number> {
  const response = await fetch(new URL("/open", upstreamUrl));
  return Number(await response.text());
}
