import { createAgentParts } from "#src/agents/parts.ts";
import { recordEvent } from "#db/events.ts";
import type { App } from "#src/app.ts";
import { createCache } from "#src/cache.ts";
import { createDeadlines } from "#src/calls/deadlines.ts";
import { createHeartbeat } from "#src/calls/heartbeat.ts";
import { createOpenStreams } from "#src/calls/open-streams.ts";
import { createSwitches } from "#src/guards/switches.ts";
import { createProbes } from "#src/calls/probe.ts";
import { createReach } from "#src/calls/reach.ts";
import { createRecorder } from "#src/calls/record.ts";
import { fetchExchange } from "#src/http/fetch-exchange.ts";
import { createUpkeepWatch } from "#src/upkeep/upkeep-watch.ts";
import { createDatabaseWatch } from "#src/telemetry/database-health.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";
import type { Runtime } from "#src/runtime/runtime.ts";

export type Parts = ReturnType<typeof withParts>;

/** The app with what a serving process keeps beside it. */
export function withParts(app: App, runtime: Pick<Runtime, "exchange">) {
  const now = () => app.now().getTime();
  const openStreams = createOpenStreams(now);
  const switches = createSwitches(app);
  const heartbeat = createHeartbeat(now, app.config.upstreamLimits.keepAliveMs);
  return {
    ...app,
    ...createAgentParts(app, (subjects) => {
      switches.hear(subjects);
      for (const subject of subjects) noteCut(app, subject, openStreams.cut(subject));
    }),
    switches,
    openStreams,
    // An HTTP proxy is for the runtime's fetch to find and use.
    exchange: app.config.usesProxy ? fetchExchange : runtime.exchange,
    deadlines: createDeadlines(now),
    heartbeat,
    probes: createProbes({ ...app, heartbeat, openStreams }),
    databaseWatch: createDatabaseWatch(app),
    upkeepWatch: createUpkeepWatch(app),
    reach: createReach(app),
    recorder: createRecorder(app),
    refused: createCache<number>({ freshMs: 5 * 60_000, staleMs: 0, size: 10_000, now }),
  };
}

/** For whoever ended it and wants to know that nothing of it runs any more. */
function noteCut(app: Pick<App, "db" | "log">, subject: string, count: number): void {
  if (count === 0) return;
  app.log.info("streams_ended", { subject, count });
  recordEvent(app.db, { name: "streams_cut", subject, count }).catch((error: unknown) => {
    app.log.warn("event_not_stored", troubleOf(error));
  });
}
