import { explaining } from "#db/explain.ts";
import { runningBundled, startBundled } from "#db/embedded.ts";
import { type Migration, type MigrationOutcome, migrate, pendingMigrations } from "#db/migrate.ts";
import { migrations } from "#db/migrations/embedded.ts";
import { ping } from "#db/ping.ts";
import { type OpenDatabase, openDatabase } from "#db/open.ts";
import { databaseAddress, expectDatabase, refuseUnaskedDatabase } from "#src/config/database.ts";
import { loadConfig, refuse } from "#src/config/load.ts";
import type { Environment } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/clock.ts";
import { loadRuntime } from "#src/runtime/load.ts";

type Named = { readonly database: string };

/** Applies pending migrations; needs only the database's settings, not a whole configuration. */
export function migrateDatabase(environment: Environment): Promise<MigrationOutcome & Named> {
  return onDatabase(environment, ({ sql }) => migrate(sql));
}

type MigrationStatus = Named & {
  readonly migrations: readonly (Migration & { readonly isApplied: boolean })[];
};

/** Which migrations of this binary a database has. Changes nothing. Failures: `migration_changed`. */
export async function migrationStatus(environment: Environment): Promise<MigrationStatus> {
  const work = async ({ sql }: OpenDatabase) => ({
    pending: new Set(await pendingMigrations(sql)),
  });
  const { pending, database } = await onDatabase(environment, work, "there");
  const all = migrations.map(({ name, sql }) => ({ name, sql, isApplied: !pending.has(name) }));
  return { database, migrations: all };
}

async function onDatabase<T extends object>(
  environment: Environment,
  work: (open: OpenDatabase) => Promise<T>,
  wanted: "there" | "made" = "made",
): Promise<T & Named> {
  const { config, problems } = loadConfig(environment);
  refuse(
    problems.filter(({ setting }) => setting === "DATABASE_URL" || setting === "SMARTDASH_HOME"),
  );
  const shared = config.databaseUrl?.reveal();
  if (shared !== undefined)
    return { ...(await at(shared, work)), database: databaseAddress(config) };
  const running = await runningBundled(config.home);
  const database = `the bundled PostgreSQL in ${config.home}`;
  if (running !== undefined) return { ...(await at(running, work)), database };
  const { installPostgres } = await loadRuntime();
  if (installPostgres === undefined)
    throw new Failure("settings_invalid", "DATABASE_URL is required here");
  refuseUnaskedDatabase(config);
  if (wanted === "there") expectDatabase(config, environment);
  const bundled = await startBundled(config.home, installPostgres);
  try {
    return { ...(await at(bundled.url, work)), database };
  } finally {
    await bundled.stop();
  }
}

const firstAnswerMs = 15_000;

async function at<T>(url: string, work: (open: OpenDatabase) => Promise<T>): Promise<T> {
  const open = openDatabase(url, 1);
  try {
    return await explaining(url, async () => {
      await within(firstAnswerMs, ping(open.db), () => new Failure("database_unavailable"));
      return await work(open);
    });
  } finally {
    await open.close();
  }
}

/** Names of the migrations that a database lacks. */
export async function pendingNames(environment: Environment): Promise<readonly string[]> {
  const { migrations: all } = await migrationStatus(environment);
  return all.filter(({ isApplied }) => !isApplied).map(({ name }) => name);
}
