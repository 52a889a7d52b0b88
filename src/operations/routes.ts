import type { App } from "#src/app.ts";
import { isSame } from "#src/crypto/secret.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { Failure } from "#src/failure.ts";
import { type Outcomes, fine } from "#src/proxy/health.ts";
import { credentialOutages } from "#src/proxy/call-store.ts";
import type { Journal } from "#src/accounts/journal/journal.ts";
import type { ProviderHealth } from "#src/accounts/provider-health.ts";
import type { ConnectCheck } from "#src/proxy/forward.ts";
import type { Switches } from "#src/policy/switches.ts";
import { version } from "#src/runtime/runtime.ts";
import type { DatabaseWatch } from "#src/telemetry/database-health.ts";
import type { HealthWatch } from "./health-watch.ts";
import { overdueDays, cleanupTask } from "./cleanup/cleanup.ts";
import { createCache } from "#src/cache.ts";
import { timely, millisecondsOf } from "#src/clock.ts";
import { countAccounts, secondsSince } from "./store.ts";
import { allAlerts } from "./alerts/alert-store.ts";

/** What health is made of. */
export type HealthDeps = Pick<App, "config" | "metrics"> & {
  readonly databaseWatch: DatabaseWatch;
  readonly healthWatch: HealthWatch;
  readonly connectCheck: Pick<ConnectCheck, "failing">;
  readonly switches: Pick<Switches, "off">;
  readonly outcomes: Outcomes;
  readonly providerHealth: ProviderHealth;
  readonly journal: Pick<Journal, "look">;
  readonly isDraining: () => boolean;
};
type Status = "pass" | "warn" | "fail";

/**
 * `/livez` (the process), `/readyz` and `/health` (with its database). GET and HEAD. Names no account.
 * While the database is away and what the process holds still serves, the answer is `warn` with 200; so it is when
 * calls of any replica to an upstream fail, one is switched off, a provider does not answer or refuses us, the journal
 * cannot be written, cleanup is overdue, or guards have something to say (`tool_held`, `agent_stopped`, `budget_low`).
 * Makes next to no load.
 * `/metrics` needs METRICS_TOKEN as a bearer.
 */
export function mountOperations(routes: PageRoutes, app: HealthDeps): void {
  routes.get("/livez", () => health("pass", {}));
  routes.get("/readyz", () =>
    app.isDraining() ? health("fail", { process: "gateway_stopping" }) : readiness(app),
  );
  routes.get("/health", async () => {
    const { status, checks, isDegraded } = await lookAtHealth(app);
    return health(status, checks, isDegraded);
  });
  routes.get("/metrics", ({ req }) => {
    const { token } = app.config.metrics;
    if (token === undefined) throw new Failure("not_found");
    const given = /^Bearer +(\S.*)$/i.exec(req.header("authorization") ?? "")?.[1];
    if (given === undefined) throw new Failure("bearer_missing");
    if (!isSame(given, token.reveal())) throw new Failure("bearer_invalid");
    return metricsAnswer(app);
  });
}

/** Every metric, for Prometheus. */
export async function metricsAnswer({ metrics }: Pick<App, "metrics">): Promise<Response> {
  const headers = { "content-type": metrics.contentType, "cache-control": "no-store" };
  return new Response(await metrics.text(), { headers });
}

const statuses = { pass: "pass", degraded: "warn", fail: "fail" } as const;

async function readiness(app: HealthDeps): Promise<Response> {
  const { status, code } = await app.databaseWatch.look();
  return health(statuses[status], { database: code }, status === "degraded");
}

/** What this replica knows of its own health, its upstreams', its providers' and its database's: `pass`, or the code of what is wrong. */
export async function lookAtHealth(app: HealthDeps): Promise<{
  readonly status: Status;
  readonly checks: Readonly<Record<string, string>>;
  /** The database is away, and what the process holds still serves. */
  readonly isDegraded: boolean;
}> {
  const [{ status, code }, days, kinds, journal, outcomes, providers] = await Promise.all([
    app.databaseWatch.look(),
    app.healthWatch.daysSinceCleanup(),
    app.healthWatch.guardAlerts(),
    app.journal.look(),
    app.outcomes.lately(),
    app.providerHealth.lately(),
  ]);
  // Undefined where the database has not said.
  const isOverdue = days === undefined || days > overdueDays;
  const failing = [...(outcomes ?? [])].filter(([, { state }]) => state !== "pass");
  const closed = [...(providers ?? [])].filter(([, each]) => !fine.has(each.code));
  const troubled = [
    ...[...app.connectCheck.failing()].map(([name, why]) => [`upstream:${name}`, why] as const),
    ...failing.map(([name, { code: why }]) => {
      const what = why !== null && credentialOutages.includes(why) ? "credential" : "upstream";
      return [`${what}:${name}`, why ?? "unknown"] as const;
    }),
    ...app.switches.off().map((name) => [`upstream:${name}`, "upstream_switched_off"] as const),
    ...closed.map(([name, each]) => [`provider:${name}`, each.code] as const),
    ...(journal === "pass" ? [] : [["journal", journal] as const]),
  ];
  const checks = {
    ...Object.fromEntries(kinds.map((kind) => [`guards:${kind}`, kind])),
    database: code,
    cleanup: days === undefined ? "not_tried" : isOverdue ? "cleanup_overdue" : "pass",
    ...Object.fromEntries(troubled),
  };
  const isTroubled = isOverdue || troubled.length + kinds.length > 0;
  const worst = statuses[status] === "pass" && isTroubled ? "warn" : statuses[status];
  return { status: worst, checks, isDegraded: status === "degraded" };
}

/** The expired draft-inadarei-api-health-check-06 is what monitors understand. */
function health(
  status: Status,
  checks: Readonly<Record<string, string>>,
  isDegraded = false,
): Response {
  const about = { version: version.number, releaseId: version.revision, checks };
  const output = isDegraded ? { output: "degraded" } : {};
  return new Response(JSON.stringify({ status, ...output, ...about }), {
    status: status === "fail" ? 503 : 200,
    headers: { "content-type": "application/health+json", "cache-control": "no-store" },
  });
}

/** What Prometheus asks the database for, through one process: at most once in 15 seconds each. */
export function addGauges(
  app: Pick<App, "db" | "metrics" | "now">,
  openStreams: { readonly count: () => number },
): void {
  const { db, metrics } = app;
  const now = millisecondsOf(app);
  const known = createCache<readonly Sample[]>({ freshMs: 15_000, staleMs: 0, size: 10, now });
  const add = (name: string, help: string, read: () => Promise<readonly Sample[]>) =>
    metrics.gauge(name, help, async () => (await known.get(name, () => timely(read()))) ?? []);
  metrics.gauge("smartdash_open_streams", "Event streams that are open now", () => [
    { labels: {}, value: openStreams.count() },
  ]);
  add("smartdash_accounts", "Accounts by provider and state", async () =>
    (await countAccounts(db)).map(({ provider, state, count }) => ({
      labels: { provider, state },
      value: count,
    })),
  );
  add("smartdash_alerts_firing", "Alerts that fire now, by kind", async () => {
    const firing = (await allAlerts(db)).filter(({ state }) => state === "firing");
    const kinds = new Set(firing.map(({ kind }) => kind));
    return [...kinds].map((kind) => ({
      labels: { kind },
      value: firing.filter((each) => each.kind === kind).length,
    }));
  });
  add("smartdash_cleanup_age_seconds", "Since smartdash cleanup ran", async () => [
    { labels: {}, value: await secondsSince(db, cleanupTask) },
  ]);
}

type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number };
