import { createAgentParts } from "#src/agents/parts.ts";
import type { App } from "#src/app.ts";
import { createCache } from "#src/cache.ts";
import { createDeadlines } from "#src/calls/deadlines.ts";
import { createHeartbeat } from "#src/calls/heartbeat.ts";
import { createOpenStreams } from "#src/calls/open-streams.ts";
import { createReach } from "#src/calls/reach.ts";
import { createRecorder } from "#src/calls/record.ts";
import { fetchExchange } from "#src/http/fetch-exchange.ts";
import { createDatabaseWatch } from "#src/telemetry/database-health.ts";
import type { Runtime } from "#src/runtime/runtime.ts";

export type Parts = ReturnType<typeof withParts>;

/** The app with what a serving process keeps beside it. */
export function withParts(app: App, runtime: Pick<Runtime, "exchange">) {
  const now = () => app.now().getTime();
  const openStreams = createOpenStreams(now);
  return {
    ...app,
    ...createAgentParts(app, openStreams.cut),
    openStreams,
    // An HTTP proxy is for the runtime's fetch to find and use.
    exchange: app.config.usesProxy ? fetchExchange : runtime.exchange,
    deadlines: createDeadlines(now),
    heartbeat: createHeartbeat(now, app.config.upstreamLimits.keepAliveMs),
    databaseWatch: createDatabaseWatch(app),
    reach: createReach(app),
    recorder: createRecorder(app),
    refused: createCache<number>({ freshMs: 5 * 60_000, staleMs: 0, size: 10_000, now }),
  };
}
