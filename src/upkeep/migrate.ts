import { runningBundled, startBundled } from "#db/embedded.ts";
import { type MigrationOutcome, migrate } from "#db/migrate.ts";
import { ping } from "#db/ping.ts";
import { openDatabase } from "#db/open.ts";
import { loadConfig, refuse } from "#src/config/load.ts";
import type { Environment } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/once.ts";
import { loadRuntime } from "#src/runtime/runtime.ts";

/** Applies pending migrations; needs only the database's settings, not a whole configuration. */
export async function migrateDatabase(
  environment: Environment,
): Promise<MigrationOutcome & { readonly database: string }> {
  const { config, problems } = loadConfig(environment);
  refuse(
    problems.filter(({ setting }) => setting === "DATABASE_URL" || setting === "SMARTDASH_HOME"),
  );
  const shared = config.databaseUrl?.reveal();
  if (shared !== undefined) return { ...(await migrateAt(shared)), database: nameOf(shared) };
  const running = await runningBundled(config.home);
  const database = `the bundled PostgreSQL in ${config.home}`;
  if (running !== undefined) return { ...(await migrateAt(running)), database };
  const { installPostgres } = await loadRuntime();
  if (installPostgres === undefined)
    throw new Failure("settings_invalid", "DATABASE_URL is required here");
  const bundled = await startBundled(config.home, installPostgres);
  try {
    return { ...(await migrateAt(bundled.url)), database };
  } finally {
    await bundled.stop();
  }
}

const firstAnswerMs = 15_000;

async function migrateAt(url: string): Promise<MigrationOutcome> {
  const open = openDatabase(url, 1);
  try {
    await within(firstAnswerMs, ping(open.db), () => new Failure("database_unavailable"));
    return await migrate(open.sql);
  } finally {
    await open.close();
  }
}

/** Host and database, without user and password. */
function nameOf(url: string): string {
  const { host, pathname, searchParams } = new URL(url);
  return `${searchParams.get("host") ?? host}${pathname}`;
}
