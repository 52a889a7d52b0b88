import { openJournal } from "#src/accounts/journal/journal.ts";
import { recoverAtStart, startRecovery } from "#src/accounts/recovery/recover.ts";
import { type AtStep, createRefreshParts } from "#src/accounts/refresh/deps.ts";
import type { App } from "#src/app.ts";
import { type Subscriber, subscribe } from "#src/bus.ts";
import { originAt } from "#src/config/load.ts";
import { mostBodyBytes } from "#src/proxy/message.ts";
import { Failure, codeOf } from "#src/failure.ts";
import type { Handle, Runtime, Tls } from "#src/runtime/runtime.ts";
import { createAnswer } from "./router.ts";
import { openCertificates } from "./certificates.ts";
import { createDrain } from "./drain.ts";
import { type Parts, followTopics, stopParts, withParts } from "./composition.ts";
import { startAlerts } from "#src/operations/alerts/alerts.ts";
import { type OwnProgram, createCheckRunner } from "#src/operations/check-run.ts";
import { addGauges, metricsAnswer } from "#src/operations/routes.ts";
import { startSchedule } from "#src/operations/schedule.ts";
import type { Edge, EdgeDeps } from "#src/edge/edge.ts";

export type Gateway = {
  /** What people open, e.g. `http://localhost:8000`. */
  readonly publicUrl: string;
  readonly port: number;
  /** Takes no new work, lets what runs finish within the limit, then ends. */
  stop(): Promise<void>;
};

/** Leaves room to answer a too large body with words instead of the runtime's bare 413. */
const refusedUnreadBytes = mostBodyBytes + 1024 * 1024;

export type GatewayOptions = {
  /** Lets the console run a check; without it, a check is a command alone. */
  readonly ownProgram?: OwnProgram | undefined;
  /** For tests: what happens between every two steps of a refresh. */
  readonly atStep?: AtStep;
};

/**
 * Finishes what an earlier process left in the journal, listens, and mounts everything there is.
 * Failures: `journal_unusable`, `port_unavailable`.
 */
export async function startGateway(
  opened: App,
  runtime: Runtime,
  options: GatewayOptions = {},
): Promise<Gateway> {
  await using stack = new AsyncDisposableStack();
  const metrics = serveMetrics(opened, runtime);
  stack.defer(() => metrics?.stop(0));
  const journal = await openJournal(opened);
  const stopped = new AbortController();
  const { atStep } = options;
  const refreshParts = createRefreshParts(opened, journal, { atStep, stopping: stopped.signal });
  await recoverAtStart({ ...opened, ...refreshParts });
  // Whoever is early waits until everything is known: seconds at most, or the start fails.
  const ready = Promise.withResolvers<Handle>();
  const certificates = await openCertificates({ ...opened, publicUrl: originAt(opened.config) });
  const early: Handle = async (request, peer) => (await ready.promise)(request, peer);
  const serving = listen(opened, runtime, { tls: certificates?.current(), handle: early });
  stack.defer(() => serving.stop(0));
  const publicUrl = originAt(opened.config, serving.port);
  const parts = { ...withParts({ ...opened, publicUrl }, runtime), ...refreshParts };
  await Promise.all([parts.switches.load(), parts.definitions.load()]);
  const { port } = serving;
  const edge = await openEdgeExtension({ ...parts, certificate: certificates?.fingerprint, port });
  const edges = edge === undefined ? [] : [edge];
  const { ownProgram } = options;
  const app = {
    ...parts,
    exchange: edge?.exchange ?? parts.exchange,
    checkRunner: ownProgram && createCheckRunner(parts, ownProgram),
  };
  // From here on nothing fails any more.
  stack.move();
  const leaving = createDrain(app, serving);
  const answer = createAnswer({ ...app, edge, isDraining: leaving.isDraining }, port);
  serving.answerWith(answer);
  ready.resolve(answer);
  addGauges(app, app.openStreams);
  const beside = [startSchedule(app), startAlerts(app)];
  const later = [startRecovery(app), subscribe(app, subscriberOf(app, edge)), ...edges];
  const stopFollowing = certificates?.follow((next) => serving.renew(next));
  const stopAll = async () => {
    stopFollowing?.();
    const scheduled = Promise.all(beside.map((each) => each.stop()));
    await leaving.leave(answer);
    stopped.abort();
    await scheduled;
    // A provider's answer that is still on its way is the only copy of a credential.
    await app.singleFlight.settled();
    await Promise.all(later.map((each) => each.stop()));
    await stopParts(app);
    await metrics?.stop(0);
  };
  let stopping: Promise<void> | undefined;
  return { publicUrl, port, stop: () => (stopping ??= stopAll()) };
}

/** What is not switched on is not even loaded. */
async function openEdgeExtension(app: EdgeDeps): Promise<Edge | undefined> {
  if (!app.config.edge.isOn) return undefined;
  const { openEdge } = await import("#src/edge/edge.ts");
  return await openEdge(app);
}

function subscriberOf(app: Parts, edge: Edge | undefined): Subscriber {
  return (topics) => {
    edge?.hear(topics);
    return followTopics(app, topics);
  };
}

/** On a port of its own, which only this machine reaches. */
function serveMetrics(app: App, runtime: Runtime) {
  const { port } = app.config.metrics;
  if (port === undefined) return undefined;
  const handle = (request: Request) =>
    new URL(request.url).pathname === "/metrics"
      ? metricsAnswer(app)
      : new Response(null, { status: 404 });
  try {
    return runtime.serve({ hostname: "127.0.0.1", port, maxBodyBytes: 1024, handle });
  } catch (error) {
    throw portUnavailable(`METRICS_PORT ${port}`, error, "choose another METRICS_PORT");
  }
}

function listen(
  app: App,
  runtime: Runtime,
  { tls, handle }: { readonly tls: Tls | undefined; readonly handle: Handle },
) {
  const { host: hostname, port } = app.config;
  const maxBodyBytes = refusedUnreadBytes;
  try {
    return runtime.serve({ hostname, port, maxBodyBytes, handle, ...(tls && { tls }) });
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw portUnavailable(`${hostname}:${port}`, error, "choose another PORT, or 0");
  }
}

function portUnavailable(what: string, error: unknown, way: string): Failure {
  const code = codeOf(error);
  const why = portTroubles[code ?? ""] ?? "Another program may be using it";
  const message = `${what} cannot be listened on${code === undefined ? "" : ` (${code})`}`;
  return new Failure("port_unavailable", message, { hint: `${why}: ${way}.` });
}

const portTroubles: Readonly<Record<string, string>> = {
  EACCES: "Ports below 1024 are for root alone, unless systemd gives CAP_NET_BIND_SERVICE",
  EADDRNOTAVAIL: "No interface of this machine has this address",
};
