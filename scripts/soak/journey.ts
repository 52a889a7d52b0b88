import { availableParallelism, loadavg } from "node:os";
import { processorMicros } from "../bench/processes.ts";
import { type Descriptors, sortDescriptors } from "./descriptors.ts";
import { type Growth, boundsFor, measureGrowth } from "./growth.ts";
import { holdStreams } from "./held-streams.ts";
import { type Sample, startSampling } from "./samples.ts";
import { type Scene, openScene } from "./scene.ts";
import { ClientCounts } from "./client-counts.ts";
import { startTraffic } from "./traffic.ts";

export type Plan = {
  readonly seconds: number;
  readonly streams: number;
  readonly callsPerSecond: number;
  readonly churnPerSecond: number;
};

/** Everything that was seen. */
export type Outcome = {
  readonly plan: Plan;
  /** How long the load lasted: longer than planned when a short run seemed to grow. */
  readonly seconds: number;
  readonly program: string;
  readonly machine: { readonly processors: number; readonly load: number };
  readonly streams: Readonly<Record<"held" | "cut" | "silent" | "leftUpstream", number>>;
  readonly calls: Readonly<Record<"count" | "p50Millis" | "p99Millis" | "longestMillis", number>>;
  readonly streamsDropped: number;
  readonly clientsLeft: number;
  readonly refreshes: number;
  readonly refreshTokensReused: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly complaints: Readonly<Record<string, number>>;
  readonly memory: Growth;
  readonly descriptors: Readonly<Record<"idle" | "most" | "left", Descriptors>> & {
    /** From the moment the clients left until they were as few as before; undefined: never. */
    readonly settledMillis: number | undefined;
  };
  readonly processorShare: number;
  readonly endedInOrder: boolean;
  readonly samples: readonly Sample[];
};

const warmMillis = 3000;
const longestWarmMillis = 15_000;
const settleMillis = 15_000;
const lookMillis = 100;

/** A gateway is warmed up, left idle and looked at, loaded, left again and looked at again. */
export async function soak(plan: Plan): Promise<Outcome> {
  const scene = await openScene();
  const idle = await findIdle(scene, plan);
  const clientCounts = new ClientCounts();
  const refreshesBefore = scene.countRefreshes();
  const loaded = await load(scene, { plan, clientCounts });
  const left = await settle(scene, idle);
  const refreshes = scene.countRefreshes() - refreshesBefore;
  const reused = scene.countReused();
  const endedInOrder = await scene.stop();
  const { samples, most, ...seen } = loaded;
  return {
    plan,
    program: scene.gateway.program,
    ...seen,
    streams: { ...seen.streams, leftUpstream: left.streamsUpstream },
    calls: {
      count: clientCounts.calls,
      p50Millis: clientCounts.quantileMillis(0.5),
      p99Millis: clientCounts.quantileMillis(0.99),
      longestMillis: clientCounts.longestMillis,
    },
    streamsDropped: clientCounts.streamsDropped,
    clientsLeft: clientCounts.clientsLeft,
    refreshes,
    refreshTokensReused: reused,
    errors: Object.fromEntries(clientCounts.errors),
    complaints: Object.fromEntries(scene.gateway.complaints),
    memory: measureGrowth(samples),
    descriptors: { idle, most, left: left.descriptors, settledMillis: left.settledMillis },
    endedInOrder,
    samples,
  };
}

/** A little of every kind of traffic first: code that is loaded and connections that stay are no leak. */
async function findIdle(scene: Scene, plan: Plan): Promise<Descriptors> {
  const clientCounts = new ClientCounts();
  const traffic = startTraffic(scene, clientCounts, plan);
  await Bun.sleep(warmMillis);
  const endAt = performance.now() + longestWarmMillis;
  while (scene.countRefreshes() === 0 && performance.now() < endAt) await Bun.sleep(lookMillis);
  await traffic.stop();
  const [failure] = clientCounts.errors.keys();
  if (failure !== undefined) throw new Error(`the warm-up failed: ${failure}`);
  await untilQuiet(scene);
  return sort(scene);
}

/** Resolves when nothing is held for clients or upstream any more, or after a while. */
async function untilQuiet(scene: Scene): Promise<void> {
  const endAt = performance.now() + settleMillis;
  while (performance.now() < endAt) {
    if (isQuiet(sort(scene))) return;
    await Bun.sleep(lookMillis);
  }
}

async function load(
  scene: Scene,
  { plan, clientCounts }: { plan: Plan; clientCounts: ClientCounts },
) {
  const startedAt = performance.now();
  const pids = [scene.gateway.pid];
  const usedBefore = processorMicros(pids) ?? 0;
  const traffic = startTraffic(scene, clientCounts, plan);
  const held = await holdStreams(scene, clientCounts, plan.streams);
  const sampler = startSampling({ scene, clientCounts, held }, startedAt);
  const seconds = await watchGrowth(scene, sampler.samples, { plan, startedAt });
  sampler.stop();
  const most = sort(scene);
  const machine = { processors: availableParallelism(), load: loadavg()[0] ?? 0 };
  const used = (processorMicros(pids) ?? 0) - usedBefore;
  const processorShare = used / 1000 / (performance.now() - startedAt);
  await traffic.stop();
  const streams = {
    held: held.countAlive(),
    cut: held.countCut(),
    silent: held.countSilent(mostSilentMillis),
  };
  held.leave();
  return { seconds, samples: sampler.samples, most, machine, processorShare, streams };
}

/** Waits for the end of the plan, and for longer if a short run seems to grow. Resolves with how long it took. */
async function watchGrowth(
  scene: Scene,
  samples: readonly Sample[],
  { plan, startedAt }: { plan: Plan; startedAt: number },
): Promise<number> {
  const { suspectKilobytes, extensions } = boundsFor(plan.seconds);
  let seconds = plan.seconds;
  await watch(scene, startedAt + seconds * 1000);
  for (let extension = 0; extension < extensions; extension += 1) {
    if (measureGrowth(samples).grownKilobytes <= suspectKilobytes) break;
    seconds += plan.seconds / 2;
    await watch(scene, startedAt + seconds * 1000);
  }
  return seconds;
}

/** Waits; a gateway that ends meanwhile is the end of the soak. */
async function watch({ gateway }: Scene, endAt: number): Promise<void> {
  while (performance.now() < endAt) {
    if (gateway.hasEnded()) throw new Error("the gateway ended by itself");
    await Bun.sleep(Math.min(1000, Math.max(0, endAt - performance.now())));
  }
}

/** Every fifteen seconds a quiet stream gets a comment (STREAM_KEEPALIVE_MS). */
const mostSilentMillis = 20_000;

/** Waits until the descriptors are as few as before the load, or for a while. */
async function settle(scene: Scene, idle: Descriptors) {
  const startedAt = performance.now();
  let settledMillis: number | undefined;
  while (settledMillis === undefined && performance.now() - startedAt < settleMillis) {
    await Bun.sleep(lookMillis);
    if (isBackTo(idle, sort(scene))) settledMillis = performance.now() - startedAt;
  }
  return {
    settledMillis,
    descriptors: sort(scene),
    streamsUpstream: await scene.countStreamsUpstream(),
  };
}

/** No client and no exchange with the upstream is left: the one socket is the listening one. */
function isQuiet({ clients, upstream }: Descriptors): boolean {
  return clients <= 1 && upstream === 0;
}

/** The pools towards the database and the provider may have grown since; they have their own limits. */
export function isBackTo(idle: Descriptors, now: Descriptors): boolean {
  return (
    isQuiet(now) &&
    now.otherTcp <= idle.otherTcp &&
    now.rest <= idle.rest &&
    now.database <= Math.max(idle.database, mostDatabase) &&
    now.provider <= Math.max(idle.provider, mostProvider)
  );
}

/** DATABASE_CONNECTIONS, and the one that listens. */
const mostDatabase = 11;
/** As many as refresh at once. */
const mostProvider = 8;

function sort({ gateway, ports }: Scene): Descriptors {
  return sortDescriptors(gateway.pid, { ...ports, gateway: Number(new URL(gateway.url).port) });
}
