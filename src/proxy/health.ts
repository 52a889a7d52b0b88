import type { Journal } from "#src/accounts/journal/journal.ts";
import type { ProviderHealth } from "#src/accounts/provider-health.ts";
import { connectable } from "#src/accounts/registration.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { asFailure } from "#src/failure.ts";
import { topicsOfUpstream } from "#src/policy/plan.ts";
import type { Switches } from "#src/policy/switches.ts";
import type { DatabaseWatch } from "#src/telemetry/database-health.ts";
import type { ConnectCheck } from "./forward.ts";
import { type Lately, credentialOutages, callsLately } from "./call-store.ts";
import { createLately } from "#src/cache.ts";

type Deps = Pick<App, "config" | "catalog" | "publicUrl"> & {
  readonly connectCheck: ConnectCheck;
  readonly switches: Switches;
  readonly databaseWatch: DatabaseWatch;
  readonly outcomes: Outcomes;
  readonly providerHealth: ProviderHealth;
  readonly journal: Pick<Journal, "look">;
};

/**
 * `GET|HEAD /api/mcp/:upstream/health`, mission document 1 chapter 6. Names no account and makes next to no load: the
 * upstream is known by what calls of all replicas have met within five minutes, or, where there was none, by one
 * connection; the provider by its refreshes. `fail` (503) when the database does, or when more than half of at least
 * ten calls of at least two agents failed.
 */
export async function upstreamHealth(app: Deps, upstream: Upstream): Promise<Response> {
  const [database, outcomes, provider, journal] = await Promise.all([
    app.databaseWatch.look(),
    app.outcomes.lately(),
    providerState(app, upstream),
    upstream.credential.kind === "account" ? app.journal.look() : undefined,
  ]);
  const lately = outcomes?.get(upstream.name);
  const server = await serverState(app, upstream, lately);
  const isFailed = database.status === "fail" || lately?.state === "failing";
  const checks = {
    database: database.code,
    upstream: server.code,
    credential: credentialState(upstream, lately),
    provider,
    journal,
  };
  const isWell = Object.values(checks).every((code) => code === undefined || fine.has(code));
  const body = {
    status: isFailed ? "fail" : isWell ? "pass" : "warn",
    ...(database.status === "degraded" && { output: "degraded" }),
    upstream: upstream.name,
    checks,
    tried: server.tried,
    lately: outcomes === undefined ? null : latelyTold(lately),
  };
  const headers = { "content-type": "application/health+json", "cache-control": "no-store" };
  return new Response(JSON.stringify(body), { status: isFailed ? 503 : 200, headers });
}

/** `not_tried` says itself that nothing was found out. */
export const fine: ReadonlySet<string> = new Set(["pass", "not_tried"]);

const none = { calls: 0, failed: 0, lastSuccess: null, lastFailure: null };

function latelyTold(lately: Pick<Outcome, keyof typeof none> = none) {
  const { calls, failed, lastSuccess, lastFailure } = lately;
  return {
    minutes: 5,
    calls,
    failed,
    last_success: lastSuccess?.toISOString() ?? null,
    last_failure: lastFailure?.toISOString() ?? null,
  };
}

/** How renewing credentials has gone, on any replica: its failures say nothing about the upstream. */
function credentialState(upstream: Upstream, lately: Outcome | undefined): string | undefined {
  if (upstream.credential.kind !== "account") return undefined;
  const isTroubled = lately !== undefined && lately.state !== "pass";
  return isTroubled && isOfCredential(lately) ? (lately.code ?? "pass") : "pass";
}

function isOfCredential({ code }: Outcome): boolean {
  return code !== null && credentialOutages.includes(code);
}

type ServerState = {
  readonly code: string;
  /** How that is known: by calls of the last five minutes, by a connection now, or because it is switched off. */
  readonly tried: "calls" | "connection" | "switch";
};

async function serverState(
  app: Deps,
  upstream: Upstream,
  lately: Outcome | undefined,
): Promise<ServerState> {
  const isOff = await codeOf(() => app.switches.check(topicsOfUpstream(upstream)));
  if (isOff !== "pass") return { code: isOff, tried: "switch" };
  if (lately !== undefined && lately.state !== "pass" && !isOfCredential(lately)) {
    return { code: lately.code ?? "unknown", tried: "calls" };
  }
  const own = app.connectCheck.failing().get(upstream.name);
  if (own !== undefined) return { code: own, tried: "calls" };
  if (lately !== undefined) return { code: "pass", tried: "calls" };
  return { code: await app.connectCheck.state(upstream), tried: "connection" };
}

/** Of the provider whose accounts it needs. */
async function providerState(app: Deps, { credential }: Upstream): Promise<string> {
  if (credential.kind !== "account") return "pass";
  const { provider: name } = credential;
  if (!connectable(app).some(({ provider }) => provider.name === name)) {
    return "provider_not_configured";
  }
  const states = await app.providerHealth.lately();
  return states?.get(name)?.code ?? "not_tried";
}

async function codeOf(look: () => unknown): Promise<string> {
  try {
    await look();
    return "pass";
  } catch (error) {
    return asFailure(error).code;
  }
}

/**
 * What calls have met lately on any replica, for health and alerts. `failing`: more than half of at least ten calls
 * failed, of at least two agents. `troubled`: some failed, and none has gone well since.
 */
type Outcome = Lately & { readonly state: "pass" | "troubled" | "failing" };

export type Outcomes = {
  /** By upstream; undefined while the database does not say. Five seconds old at most. */
  lately(): Promise<ReadonlyMap<string, Outcome> | undefined>;
};

const [fewestCalls, fewestCallers] = [10, 2];

/** See `createLately`. */
export function createOutcomes(app: Pick<App, "db" | "now">): Outcomes {
  const load = async () =>
    new Map((await callsLately(app.db)).map((row) => [row.upstream, outcomeOf(row)]));
  return { lately: createLately(app, load) };
}

/** What the figures of one upstream mean. */
export function outcomeOf(row: Lately): Outcome {
  const { calls, failed, callers, lastSuccess, lastFailure } = row;
  const isFailing = calls >= fewestCalls && callers >= fewestCallers && failed > calls / 2;
  if (isFailing) return { ...row, state: "failing" };
  const isLast =
    lastFailure !== null && (lastSuccess === null || lastFailure.getTime() > lastSuccess.getTime());
  // One account's dead credential says nothing about the server.
  const isOnes = row.code === "upstream_refuses_credential" && callers < fewestCallers;
  return { ...row, state: isLast && !isOnes ? "troubled" : "pass" };
}
