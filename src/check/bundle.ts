import { pendingNames } from "#src/operations/migrate.ts";
import type { App } from "#src/app.ts";
import type { Environment } from "#src/config/read.ts";
import type { Setting } from "#src/config/setting.ts";
import { secretValues } from "#src/config/secret-values.ts";
import { settings } from "#src/config/settings.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { within } from "#src/clock.ts";
import { allSwitches } from "#src/policy/switch-store.ts";
import { type Runtime, version } from "#src/runtime/runtime.ts";
import { formsOf } from "#src/telemetry/find-secrets.ts";
import { redact } from "#src/telemetry/redact.ts";
import { countAccounts, allTasks } from "#src/operations/store.ts";
import { allAlerts } from "#src/operations/alerts/alert-store.ts";
import { check } from "./check.ts";
import { databaseFacts, recentTrouble } from "./store.ts";

/**
 * What helps to find a fault: build, settings without their secrets, findings, counts. Names no account, person or
 * agent; secrets are left out by name, and whatever still looks like one, or is the value of one, is replaced.
 */
export async function supportBundle(
  app: App,
  { environment, runtime }: { readonly environment: Environment; readonly runtime: Runtime },
): Promise<string> {
  const { db } = app;
  const options = { environment, runtime, isOffline: true, isLive: false } as const;
  const parts = {
    madeAt: () => Promise.resolve(app.now().toISOString()),
    build: () =>
      Promise.resolve({
        ...version,
        runtime: runtime.name,
        platform: process.platform,
        architecture: process.arch,
      }),
    settings: () => Promise.resolve(shownSettings(environment)),
    upstreams: () =>
      Promise.resolve(
        [...app.catalog.upstreams.values()].map(({ name, url }) => ({ name, at: originOf(url) })),
      ),
    database: () => databaseFacts(db),
    pendingMigrations: () => pendingNames(environment),
    accounts: () => countAccounts(db),
    recentRefreshFailures: () => recentTrouble(db),
    alerts: () => allAlerts(db),
    switches: () => allSwitches(db),
    tasks: () => allTasks(db),
    findings: () => check(app, { ...options, patience: "quick" }),
  };
  const late = () => new Failure("database_unavailable");
  const entries = Object.entries(parts).map(async ([name, read]) => {
    const part = within<unknown>(partMs, read(), late);
    return [name, await part.catch((error: unknown) => ({ failed: asFailure(error).code }))];
  });
  const bundle: unknown = Object.fromEntries(await Promise.all(entries));
  return withoutSecrets(JSON.stringify(bundle, null, 2), environment);
}

/** Paths, queries and users of addresses may be secrets. */
function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "(no address)";
}

const partMs = 20_000;

function shownSettings(environment: Environment): Readonly<Record<string, string>> {
  const given = Object.entries<Setting>(settings).flatMap(([name, { secret, kind }]) => {
    const value = environment[name]?.trim();
    if (value === undefined || value === "") return [];
    // It may name accounts.
    const isList = name === "SMARTDASH_SIGNUP" && value.includes(":");
    const shown = isList ? "(a list)" : kind === "url" ? originOf(value) : value;
    return [[name, secret === true ? "(set)" : shown]];
  });
  return Object.fromEntries(given);
}

function withoutSecrets(text: string, environment: Environment): string {
  let clean = redact(text);
  for (const { value } of secretValues(environment)) {
    for (const form of formsOf(value)) clean = clean.replaceAll(form, "[redacted]");
  }
  return clean;
}
