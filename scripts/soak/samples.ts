import { residentKilobytes } from "../bench/processes.ts";
import { countDescriptors } from "./descriptors.ts";
import type { HeldStreams } from "./held-streams.ts";
import type { Scene } from "./scene.ts";
import type { ClientCounts } from "./client-counts.ts";

export type Sample = {
  /** Since the load began. */
  readonly second: number;
  readonly kilobytes: number;
  readonly descriptors: number;
  readonly streams: number;
  /** These three since the beginning. */
  readonly calls: number;
  readonly errors: number;
  readonly refreshes: number;
};

export type Sampler = { readonly samples: readonly Sample[]; stop(): void };

type Seen = {
  readonly scene: Scene;
  readonly clientCounts: ClientCounts;
  readonly held: HeldStreams;
};

/** Looks at the gateway's process once a second. */
export function startSampling({ scene, clientCounts, held }: Seen, startedAt: number): Sampler {
  const samples: Sample[] = [];
  const { pid } = scene.gateway;
  const timer = setInterval(() => {
    if (scene.gateway.hasEnded()) return;
    samples.push({
      second: Math.round((performance.now() - startedAt) / 100) / 10,
      kilobytes: residentKilobytes([pid]) ?? 0,
      descriptors: countDescriptors(pid),
      streams: held.countAlive(),
      calls: clientCounts.calls,
      errors: clientCounts.errorCount,
      refreshes: scene.countRefreshes(),
    });
  }, 1000);
  return { samples, stop: () => clearInterval(timer) };
}
