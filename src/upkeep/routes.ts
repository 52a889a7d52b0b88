import type { PageRoutes } from "#src/http/page-routes.ts";
import type { DatabaseWatch } from "#src/telemetry/database-health.ts";
import { version } from "./version.ts";

type Showing = { readonly databaseWatch: DatabaseWatch; readonly isLeaving: () => boolean };
type Status = "pass" | "warn" | "fail";

/**
 * `/livez` (the process), `/readyz` and `/health` (with its database). GET and HEAD. Names no account.
 * While the database is away and what the process holds still serves, the answer is `warn` with 200.
 */
export function mountUpkeep(routes: PageRoutes, app: Showing): void {
  routes.get("/livez", () => health("pass", {}));
  routes.get("/readyz", () =>
    app.isLeaving() ? health("fail", { process: "gateway_stopping" }) : withDatabase(app),
  );
  routes.get("/health", () => withDatabase(app));
}

const statuses = { pass: "pass", degraded: "warn", fail: "fail" } as const;

async function withDatabase(app: Showing): Promise<Response> {
  const { status, code } = await app.databaseWatch.look();
  return health(statuses[status], { database: code }, status === "degraded");
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
