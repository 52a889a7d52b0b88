import { callsThrough } from "./call-rounds.ts";
import type { Bench } from "./idle-streams.ts";
import { family, residentKilobytes } from "./processes.ts";
import { startTarget } from "./targets.ts";

const connections = 32;
const seconds = 60;

/** What the gateway, the plain function and the barest proxy have in memory after a minute at full load, each started afresh. */
export async function measureMemory({ run, upstreamUrl, readings }: Bench): Promise<void> {
  for (const name of ["bare", "plain", "gateway"] as const) {
    const target = await startTarget(name, upstreamUrl);
    if (target === undefined) continue;
    await callsThrough(run, target, connections, seconds);
    const kilobytes = residentKilobytes(family(target.pid));
    readings.add(name, "residentMegabytes", kilobytes === undefined ? undefined : kilobytes / 1024);
    await target.stop();
  }
}
