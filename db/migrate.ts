import { createHash } from "node:crypto";
import type postgres from "postgres";
import { migrations } from "./migrations/embedded.ts";
import { DatabaseProblem } from "./problem.ts";

export type Migration = { readonly name: string; readonly sql: string };
export type MigrationOutcome = { readonly applied: readonly string[] };

/** Any two binaries that migrate one database must agree on this number. */
const lockNumber = 7_236_591_044;

/**
 * Applies every pending migration in one transaction; whoever comes second waits and finds nothing to do.
 * Failures: `migration_changed` when an applied migration no longer reads as it did.
 */
export async function migrate(
  sql: postgres.Sql,
  known: readonly Migration[] = migrations,
): Promise<MigrationOutcome> {
  return await sql.begin(async (transaction) => {
    await transaction`select pg_advisory_xact_lock(${lockNumber})`;
    await transaction`create table if not exists smartdash_migrations (
      name text primary key, hash text not null, applied_at timestamptz not null default now())`;
    const pending = notApplied(known, await appliedHashes(transaction));
    for (const migration of pending) {
      await transaction.unsafe(migration.sql);
      await transaction`insert into smartdash_migrations (name, hash)
        values (${migration.name}, ${hashOf(migration)})`;
    }
    return { applied: pending.map((migration) => migration.name) };
  });
}

/** Names of the migrations that `migrate` would apply now. Changes nothing. */
export async function pendingMigrations(
  sql: postgres.Sql,
  known: readonly Migration[] = migrations,
): Promise<readonly string[]> {
  const [journal] = await sql`select to_regclass('smartdash_migrations') is not null as exists`;
  const applied =
    journal?.["exists"] === true ? await appliedHashes(sql) : new Map<string, string>();
  return notApplied(known, applied).map((migration) => migration.name);
}

async function appliedHashes(sql: postgres.Sql | postgres.TransactionSql) {
  const rows = await sql<
    { name: string; hash: string }[]
  >`select name, hash from smartdash_migrations`;
  return new Map(rows.map((row) => [row.name, row.hash]));
}

function notApplied(known: readonly Migration[], applied: ReadonlyMap<string, string>) {
  const changed = known.find((migration) => {
    const hash = applied.get(migration.name);
    return hash !== undefined && hash !== hashOf(migration);
  });
  if (changed !== undefined) {
    throw new DatabaseProblem(
      "migration_changed",
      `Migration ${changed.name} was applied in another wording than this binary carries`,
      "Use the binary that migrated this database, or restore the migration file it was built from.",
    );
  }
  return known.filter((migration) => !applied.has(migration.name));
}

function hashOf(migration: Migration): string {
  return createHash("sha256").update(migration.sql).digest("hex");
}
