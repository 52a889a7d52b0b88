import { existsSync } from "node:fs";
import { connectable } from "#src/accounts/registration.ts";
import { accountsWithoutProvider } from "#src/check/unconfigured.ts";
import { databaseAddress } from "#src/config/database.ts";
import { loadConfig } from "#src/config/load.ts";
import { unknownNames } from "#src/config/unknown-names.ts";
import { asFailure } from "#src/failure.ts";
import { allSwitches } from "#src/policy/switch-store.ts";
import { topicsOfUpstream } from "#src/policy/plan.ts";
import { timely } from "#src/clock.ts";
import { isAnybodyHere } from "#src/people/store.ts";
import { loadRuntime } from "#src/runtime/load.ts";
import { catchStray } from "#src/telemetry/error-fields.ts";
import { version } from "#src/runtime/runtime.ts";
import { startGateway } from "#src/gateway/gateway.ts";
import type { App } from "#src/app.ts";
import { migrateDatabase } from "#src/operations/migrate.ts";
import { tellOfStart } from "#src/operations/alerts/local.ts";
import { command, withApp } from "../command.ts";
import { environment, setEnvironment } from "../environment.ts";
import { ownProgram } from "../own-program.ts";
import { untilStopped } from "../until-stopped.ts";

export const serve = command({
  name: "serve",
  description: "Run the gateway until SIGTERM or Ctrl-C; its log is on stdout",
  examples: [
    "smartdash serve",
    "smartdash serve --migrate",
    "smartdash serve --port 8080 --discovery",
    "smartdash serve --json | jq .",
  ],
  args: {
    migrate: { type: "boolean", description: "First apply pending migrations" },
    port: { type: "string", description: "Port to listen on, in place of PORT" },
    discovery: {
      type: "boolean",
      description: "Be a node that looks for others, as SMARTDASH_EDGE=on",
    },
  },
  run: async ({ json, migrate, port, discovery }) => {
    if (port !== undefined) setEnvironment("PORT", port);
    if (discovery === true) setEnvironment("SMARTDASH_EDGE", "on");
    // Unless the settings say no: a service that has lost its DATABASE_URL must not begin anew.
    const isSaid = (environment()["SMARTDASH_BUNDLED_DATABASE"] ?? "").trim() !== "";
    if (migrate === true && !isSaid) {
      setEnvironment("SMARTDASH_BUNDLED_DATABASE", "on");
    }
    const stopped = untilStopped();
    const runtime = await loadRuntime();
    runtime.restartForService();
    const isPretty = process.stdout.isTTY && json !== true;
    const { config } = loadConfig(environment());
    const serving = prepared(migrate === true, { role: "gateway", isPretty }, async (app) => {
      catchStray(app.log);
      await tellOfStart(config, undefined);
      if (app.config.isProduction && existsSync(".env.local")) {
        app.log.warn("env_file_present", { file: ".env.local", note: "never read; remove it" });
      }
      const program = ownProgram(runtime, environment());
      const gateway = await startGateway(app, runtime, { ownProgram: program.execute });
      app.log.announce("serving", {
        url: gateway.publicUrl,
        port: gateway.port,
        version: version.number,
        database: databaseAddress(app.config),
        upstreams: (await upstreamsOn(app)).join(","),
      });
      await warnOfSettings(app);
      if (app.config.signUp === "invite" && !(await isAnybodyHere(app.db).catch(() => true))) {
        app.log.warn("nobody_signed_up", { note: "smartdash invite prints a link" });
      }
      const signal = await stopped;
      app.log.info("stopping", { signal });
      await program.stop();
      await gateway.stop();
    });
    await serving.catch(async (error: unknown) => {
      const failure = asFailure(error);
      if (/database|migration/.test(failure.code)) await tellOfStart(config, failure);
      throw error;
    });
  },
});

/** The MCP servers that calls get to: nothing of them is switched off, and their provider is configured. */
async function upstreamsOn(app: App): Promise<readonly string[]> {
  const switches = await timely(allSwitches(app.db)).catch(() => []);
  const off = new Set(switches.map(({ subject }) => subject));
  const configured = new Set(connectable(app).map(({ provider }) => provider.name));
  const all = [...app.catalog.upstreams.values()];
  const on = all.filter((upstream) => {
    const { credential } = upstream;
    const isReady = credential.kind !== "account" || configured.has(credential.provider);
    return isReady && !topicsOfUpstream(upstream).some((topic) => off.has(topic));
  });
  return on.map(({ name }) => name);
}

/** What the settings leave out or misspell, at the start rather than at the first call that needs it. */
async function warnOfSettings(app: App): Promise<void> {
  for (const { name, meant, instead } of unknownNames(environment())) {
    app.log.warn("setting_unknown", { name, meant, instead });
  }
  const found = await timely(accountsWithoutProvider(app)).catch(() => []);
  for (const { provider, accounts, upstreams } of found) {
    app.log.warn("accounts_without_provider", {
      provider,
      accounts,
      upstreams: upstreams.join(","),
    });
  }
}

/** Like `withApp`, with a database that was brought up to date where that is wanted. */
async function prepared(
  wantsMigration: boolean,
  options: Parameters<typeof withApp>[0],
  work: (app: App) => Promise<void>,
): Promise<void> {
  if (wantsMigration) await migrateDatabase(environment());
  await withApp(options, work);
}
