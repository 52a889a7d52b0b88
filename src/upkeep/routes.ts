import type { App } from "#src/app.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { databaseHealth } from "#src/telemetry/database-health.ts";
import { version } from "./version.ts";

/** `/livez` (the process), `/readyz` and `/health` (with its database). GET and HEAD. Names no account. */
export function mountUpkeep(
  routes: PageRoutes,
  app: Pick<App, "db"> & { readonly isLeaving: () => boolean },
): void {
  routes.get("/livez", () => health("pass", {}));
  routes.get("/readyz", () =>
    app.isLeaving() ? health("fail", { process: "gateway_stopping" }) : withDatabase(app),
  );
  routes.get("/health", () => withDatabase(app));
}

async function withDatabase(app: Pick<App, "db">): Promise<Response> {
  const database = await databaseHealth(app.db);
  return health(database === "pass" ? "pass" : "fail", { database });
}

/** The expired draft-inadarei-api-health-check-06 is what monitors understand. */
function health(status: "pass" | "fail", checks: Readonly<Record<string, string>>): Response {
  return new Response(
    JSON.stringify({ status, version: version.number, releaseId: version.revision, checks }),
    {
      status: status === "pass" ? 200 : 503,
      headers: { "content-type": "application/health+json", "cache-control": "no-store" },
    },
  );
}
