import { connectable } from "#src/accounts/registration.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/catalog/upstream.ts";
import { asFailure } from "#src/failure.ts";
import { sceneOfUpstream } from "#src/guards/subjects.ts";
import type { Switches } from "#src/guards/switches.ts";
import type { DatabaseWatch } from "#src/telemetry/database-health.ts";
import type { Reach } from "./reach.ts";

/**
 * `GET|HEAD /api/mcp/:upstream/health`, mission document 1 chapter 6. Names no account and makes no load: the
 * upstream is known by its last answer to a real call, or by one connection.
 */
export async function upstreamHealth(
  app: Pick<App, "config" | "catalog" | "publicUrl"> & {
    readonly reach: Reach;
    readonly switches: Switches;
    readonly databaseWatch: DatabaseWatch;
  },
  upstream: Upstream,
): Promise<Response> {
  const [database, server] = await Promise.all([
    app.databaseWatch.look(),
    stateOf(async () => {
      app.switches.check(sceneOfUpstream(upstream));
      await app.reach.expect(upstream);
    }),
  ]);
  const { credential } = upstream;
  const isConnectable =
    credential.kind !== "account" ||
    connectable(app).some(({ provider }) => provider.name === credential.provider);
  const provider = isConnectable ? "pass" : "provider_not_configured";
  const isUp = database.status !== "fail";
  const isWell = database.status === "pass" && server === "pass" && isConnectable;
  const status = isWell ? "pass" : isUp ? "warn" : "fail";
  return new Response(
    JSON.stringify({
      status,
      ...(database.status === "degraded" ? { output: "degraded" } : {}),
      upstream: upstream.name,
      checks: { database: database.code, upstream: server, provider },
    }),
    {
      status: isUp ? 200 : 503,
      headers: { "content-type": "application/health+json", "cache-control": "no-store" },
    },
  );
}

async function stateOf(look: () => Promise<unknown>): Promise<string> {
  try {
    await look();
    return "pass";
  } catch (error) {
    return asFailure(error).code;
  }
}
