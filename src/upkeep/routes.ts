import type { App } from "#src/app.ts";
import { isSame } from "#src/crypto/secret.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { Failure } from "#src/failure.ts";
import type { Reach } from "#src/calls/reach.ts";
import type { Switches } from "#src/guards/switches.ts";
import { version } from "#src/runtime/version.ts";
import type { DatabaseWatch } from "#src/telemetry/database-health.ts";
import { overdueDays } from "./cleanup/cleanup.ts";
import type { UpkeepWatch } from "./upkeep-watch.ts";

type Showing = Pick<App, "config" | "metrics"> & {
  readonly databaseWatch: DatabaseWatch;
  readonly upkeepWatch: UpkeepWatch;
  readonly reach: Pick<Reach, "failing">;
  readonly switches: Pick<Switches, "off">;
  readonly isLeaving: () => boolean;
};
type Status = "pass" | "warn" | "fail";

/**
 * `/livez` (the process), `/readyz` and `/health` (with its database). GET and HEAD. Names no account.
 * While the database is away and what the process holds still serves, the answer is `warn` with 200; so it is when
 * an upstream has failed in its last call, is switched off, cleanup is overdue, or guards have something to say
 * (`tool_held`, `agent_stopped`, `budget_low`). Makes no load.
 * `/metrics` needs METRICS_TOKEN as a bearer.
 */
export function mountUpkeep(routes: PageRoutes, app: Showing): void {
  routes.get("/livez", () => health("pass", {}));
  routes.get("/readyz", () =>
    app.isLeaving() ? health("fail", { process: "gateway_stopping" }) : readiness(app),
  );
  routes.get("/health", () => wholeHealth(app));
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

async function readiness(app: Showing): Promise<Response> {
  const { status, code } = await app.databaseWatch.look();
  return health(statuses[status], { database: code }, status === "degraded");
}

async function wholeHealth(app: Showing): Promise<Response> {
  const [{ status, code }, days, kinds] = await Promise.all([
    app.databaseWatch.look(),
    app.upkeepWatch.daysSinceCleanup(),
    app.upkeepWatch.guardAlerts(),
  ]);
  const isOverdue = days !== undefined && days > overdueDays;
  const troubled = [
    ...app.reach.failing(),
    ...app.switches.off().map((name) => [name, "upstream_switched_off"] as const),
  ].map(([name, why]) => [`upstream:${name}`, why] as const);
  const checks = {
    ...Object.fromEntries(kinds.map((kind) => [`guards:${kind}`, kind])),
    database: code,
    cleanup: isOverdue ? "cleanup_overdue" : "pass",
    ...Object.fromEntries(troubled),
  };
  const isTroubled = isOverdue || troubled.length + kinds.length > 0;
  const worst = statuses[status] === "pass" && isTroubled ? "warn" : statuses[status];
  return health(worst, checks, status === "degraded");
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
