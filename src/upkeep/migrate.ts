import { runningBundled, startBundled } from "#db/embedded.ts";
import { type MigrationOutcome, migrate } from "#db/migrate.ts";
import { openDatabase } from "#db/open.ts";
import { loadConfig, refuse } from "#src/config/load.ts";
import type { Environment } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import { loadRuntime } from "#src/runtime/runtime.ts";

/** Applies pending migrations; needs only the database's settings, not a whole configuration. */
export async function migrateDatabase(environment: Environment): Promise<MigrationOutcome> {
  const { config, problems } = loadConfig(environment);
  refuse(
    problems.filter(({ setting }) => setting === "DATABASE_URL" || setting === "SMARTDASH_HOME"),
  );
  const shared = config.databaseUrl?.reveal();
  if (shared !== undefined) return await migrateAt(shared);
  const running = await runningBundled(config.home);
  if (running !== undefined) return await migrateAt(running);
  const { installPostgres } = await loadRuntime();
  if (installPostgres === undefined)
    throw new Failure("settings_invalid", "DATABASE_URL is required here");
  const bundled = await startBundled(config.home, installPostgres);
  try {
    return await migrateAt(bundled.url);
  } finally {
    await bundled.stop();
  }
}

async function migrateAt(url: string): Promise<MigrationOutcome> {
  const open = openDatabase(url, 1);
  try {
    return await migrate(open.sql);
  } finally {
    await open.close();
  }
}
