import { readdirSync } from "node:fs";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Metrics, Sample } from "./metrics.ts";

/** Whatever else a client may call a method is counted as `other`: labels have to stay few. */
const methods = new Set([
  "initialize",
  "ping",
  "server/discover",
  "tools/list",
  "tools/call",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "prompts/list",
  "prompts/get",
  "completion/complete",
  "logging/setLevel",
  "subscriptions/listen",
  "notifications/initialized",
  "notifications/cancelled",
]);

const mostWords = 50;
const callBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Metrics in Prometheus' text format, by prom-client. */
export function createMetrics(build: { number: string; revision: string }): Metrics {
  const registry = new Registry();
  const { calls, callSeconds, guardRefusals, refreshes, refreshSeconds, lines } =
    instruments(registry);
  const known = boundedWords();
  const metrics: Metrics = {
    isRead: true,
    call({ upstream, method, status }, seconds) {
      const named = method === undefined ? "none" : methods.has(method) ? method : "other";
      calls.inc({ upstream, method: named, status });
      callSeconds.observe({ upstream }, seconds);
    },
    guardRefusal(upstream, code) {
      guardRefusals.inc({ upstream, code });
    },
    refresh(provider, outcome, seconds) {
      refreshes.inc({ provider, outcome: known(outcome) });
      refreshSeconds.observe({ provider }, seconds);
    },
    line: (level, event) => {
      lines.inc({ level, event });
    },
    gauge: (name, help, read) => addGauge(registry, { name, help, read }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
  metrics.gauge("smartdash_build_info", "What runs; always 1", () => [
    { labels: { version: build.number, revision: build.revision }, value: 1 },
  ]);
  addProcessGauges(registry, metrics);
  return metrics;
}

function instruments(registry: Registry) {
  const registers = [registry];
  return {
    calls: new Counter({
      name: "smartdash_mcp_requests_total",
      help: "Proxied MCP exchanges",
      labelNames: ["upstream", "method", "status"],
      registers,
    }),
    callSeconds: new Histogram({
      name: "smartdash_mcp_request_duration_seconds",
      help: "Time until the answer of a proxied MCP exchange began",
      labelNames: ["upstream"],
      buckets: callBuckets,
      registers,
    }),
    guardRefusals: new Counter({
      name: "smartdash_guard_refusals_total",
      help: "Calls that a guard answered in place of the upstream, also as a tool result of status 200",
      labelNames: ["upstream", "code"],
      registers,
    }),
    refreshes: new Counter({
      name: "smartdash_oauth_refresh_total",
      help: "Questions at providers' token endpoints for a newer credential",
      labelNames: ["provider", "outcome"],
      registers,
    }),
    refreshSeconds: new Histogram({
      name: "smartdash_oauth_refresh_duration_seconds",
      help: "Time that a provider took to answer a refresh",
      labelNames: ["provider"],
      registers,
    }),
    lines: new Counter({
      name: "smartdash_events_total",
      help: "Events of the log, also those that LOG_LEVEL leaves out",
      labelNames: ["level", "event"],
      registers,
    }),
  };
}

/** A provider may answer with any word: beyond fifty they are one. */
function boundedWords(): (word: string) => string {
  const words = new Set<string>();
  return (word) => {
    if (words.size < mostWords) words.add(word);
    return words.has(word) ? word : "other";
  };
}

type GaugeOptions = { name: string; help: string; read: Parameters<Metrics["gauge"]>[2] };

function addGauge(registry: Registry, { name, help, read }: GaugeOptions): void {
  const gauge = new Gauge({
    name,
    help,
    labelNames: ["provider", "state", "kind", "version", "revision"],
    registers: [],
    async collect() {
      try {
        const samples = await read();
        this.reset();
        for (const { labels, value } of samples) this.set(labels, value);
      } catch {
        // The database is away: the last values stand.
      }
    },
  });
  // A gateway that takes the place of another in this process reads its own.
  registry.removeSingleMetric(name);
  registry.registerMetric(gauge);
}

/** Not `collectDefaultMetrics`: on Bun its event loop and heap numbers are none. */
function addProcessGauges(registry: Registry, metrics: Metrics): void {
  registry.registerMetric(
    new Counter({
      name: "process_cpu_seconds_total",
      help: "Processor time used",
      registers: [],
      collect() {
        const { user, system } = process.cpuUsage();
        this.reset();
        this.inc((user + system) / 1e6);
      },
    }),
  );
  const one = (value: number): readonly Sample[] => [{ labels: {}, value }];
  const startedAt = performance.timeOrigin / 1000;
  metrics.gauge("process_start_time_seconds", "When this process started", () => one(startedAt));
  metrics.gauge("process_resident_memory_bytes", "Resident memory", () =>
    one(process.memoryUsage.rss()),
  );
  metrics.gauge("process_open_fds", "Open file descriptors", () => one(openDescriptors()));
}

function openDescriptors(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}
