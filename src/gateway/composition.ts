import type { Topic } from "#db/topics.ts";
import { createAgentParts } from "#src/oauth-server/deps.ts";
import type { App } from "#src/app.ts";
import { createCache } from "#src/cache.ts";
import { createDeadlines, millisecondsOf } from "#src/clock.ts";
import { createConnectCheck } from "#src/proxy/forward.ts";
import { type OpenStreams, createOpenStreams } from "#src/proxy/open-streams.ts";
import type { BudgetOwner } from "#src/oauth-server/tokens/issue.ts";
import { createBodyRoom } from "#src/http/body.ts";
import { budgetStatuses } from "#src/policy/budgets.ts";
import { Loops } from "#src/policy/loops.ts";
import type { Limit } from "#src/policy/limits.ts";
import type { Plans } from "#src/policy/plan.ts";
import { createProviderRate } from "#src/policy/provider-rate.ts";
import { createSwitches, stopAgent } from "#src/policy/switches.ts";
import { createRateCounters } from "#src/policy/rates/rate-counters.ts";
import { createDefinitions } from "#src/policy/tools/definitions.ts";
import { createProbes } from "#src/proxy/probe.ts";
import { createOutcomes } from "#src/proxy/health.ts";
import { createProviderHealth } from "#src/accounts/provider-health.ts";
import { createRecorder } from "#src/proxy/record.ts";
import { fetchExchange } from "#src/http/fetch-exchange.ts";
import { createHealthWatch } from "#src/operations/health-watch.ts";
import { createDatabaseWatch } from "#src/telemetry/database-health.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { createToolServers } from "#src/upstreams/tools/tool-servers.ts";
import type { Runtime } from "#src/runtime/runtime.ts";

export type Parts = ReturnType<typeof withParts>;

/** The app with what a serving process keeps beside it. */
export function withParts(
  app: App,
  runtime: Pick<Runtime, "exchange" | "digest" | "tag" | "settled">,
) {
  const now = millisecondsOf(app);
  const openStreams = createOpenStreams(now, app.config.upstreamLimits.keepAliveMs);
  const guards = guardParts(app);
  // An HTTP proxy is for the runtime's fetch to find and use.
  const exchange = app.config.usesProxy ? fetchExchange : runtime.exchange;
  return {
    ...app,
    ...createAgentParts(app, (topics) => closeStreams({ ...app, openStreams }, topics)),
    ...guards,
    openStreams,
    exchange,
    toolServers: createToolServers({ ...app, exchange }),
    digest: runtime.digest,
    tag: runtime.tag,
    settled: runtime.settled,
    deadlines: createDeadlines(now),
    probes: createProbes({ ...app, openStreams }),
    databaseWatch: createDatabaseWatch(app),
    healthWatch: createHealthWatch(app),
    outcomes: createOutcomes(app),
    providerHealth: createProviderHealth(app),
    connectCheck: createConnectCheck(app),
    recorder: createRecorder(app),
    refused: createCache<number>({ freshMs: 5 * 60_000, staleMs: 0, size: 10_000, now }),
  };
}

/** Ends what the parts do by themselves; what they hold is written down first. */
export async function stopParts(app: Parts): Promise<void> {
  app.switches.stop();
  app.definitions.stop();
  await app.rateCounters.stop();
  app.deadlines.stop();
  app.openStreams.stopComments();
  await app.recorder.stop();
}

/** What guards keep in this process; what has to be known to all is in the database. */
function guardParts(app: App) {
  const rateCounters = createRateCounters(app);
  const stop = (caller: string, reason: string) => {
    stopAgent(app, caller, reason).catch((error: unknown) =>
      app.log.warn("agent_not_stopped", errorFields(error)),
    );
  };
  return {
    rateCounters,
    switches: createSwitches(app),
    definitions: createDefinitions(app),
    plans: new WeakMap() satisfies Plans,
    addressLimits: new Map<string, Limit>(),
    loops: new Loops({ rateCounters }, stop),
    providerRate: createProviderRate({ rateCounters }),
    underWay: new Map<string, number>(),
    bodyRoom: createBodyRoom(app.config.guards),
    budgetNotes: (owner: BudgetOwner) =>
      budgetStatuses(rateCounters, app.config.guards.budgets, owner, app.now()),
  };
}

/**
 * Acts upon what any replica has told. Resolves when this process knows all of it: only then is it acknowledged.
 * Failures: `database_unavailable`.
 */
export async function followTopics(app: Parts, topics: readonly Topic[]): Promise<number> {
  for (const topic of topics) {
    if (topic.startsWith("on:")) app.loops.forgive(topic.slice("on:".length));
  }
  const closed = app.applyRevocations(topics);
  await Promise.all([app.switches.hear(topics), app.definitions.hear(topics)]);
  // Whatever was let in before the switch was known here.
  const off = topics.filter((topic) => topic.startsWith("off:"));
  return closed + closeStreams(app, off);
}

function closeStreams(
  app: Pick<App, "log"> & { readonly openStreams: OpenStreams },
  topics: readonly string[],
): number {
  let closed = 0;
  for (const subject of topics) {
    const count = app.openStreams.cut(subject);
    if (count > 0) app.log.info("streams_ended", { subject, count });
    closed += count;
  }
  return closed;
}
