import { migrateDatabase, migrationStatus } from "#src/operations/migrate.ts";
import { Failure } from "#src/failure.ts";
import { type Outcome, command } from "../command.ts";
import { environment, setEnvironment } from "../environment.ts";
import { patiently, table } from "../terminal.ts";

export const migrate = command({
  name: "migrate",
  description: "Apply pending migrations",
  examples: [
    "smartdash migrate",
    "smartdash migrate --status",
    "smartdash migrate --bundled",
    "smartdash migrate --dry-run > pending.sql",
  ],
  args: {
    status: { type: "boolean", description: "Only say what is applied; exit code 1 if not all is" },
    "dry-run": { type: "boolean", description: "Only print the SQL that would run" },
    bundled: {
      type: "boolean",
      description:
        "Make the bundled database where there is none, as SMARTDASH_BUNDLED_DATABASE=on",
    },
  },
  run: async ({ status, "dry-run": dryRun, bundled }) => {
    if (bundled === true) askForBundled();
    if (status === true && dryRun === true) {
      throw new Failure("usage", "Either --status or --dry-run");
    }
    if (status === true) return await showStatus();
    if (dryRun === true) return await showSql();
    const { applied, database } = await patiently(
      () => "Migrating",
      migrateDatabase(environment()),
    );
    const outcome = applied.length === 0 ? "Nothing to do" : `Applied ${applied.join(", ")}`;
    return { json: { applied, database }, talk: `${outcome}: ${database} is up to date.` };
  },
});

async function showStatus(): Promise<Outcome> {
  const { migrations, database } = await migrationStatus(environment());
  const pending = migrations.filter(({ isApplied }) => !isApplied).map(({ name }) => name);
  const rows = migrations.map(({ name, isApplied }) => [name, isApplied ? "applied" : "pending"]);
  return {
    json: { database, pending, applied: migrations.length - pending.length },
    text: table(["migration", "state"], rows),
    ...(pending.length === 0 ? {} : { exit: 1, talk: "Run: smartdash migrate" }),
  };
}

async function showSql(): Promise<Outcome> {
  const { migrations, database } = await migrationStatus(environment());
  const pending = migrations.filter(({ isApplied }) => !isApplied);
  const sql = pending.map((each) => `-- ${each.name}\n${each.sql.trim()}`).join("\n\n");
  return {
    json: { database, pending: pending.map(({ name, sql: text }) => ({ name, sql: text })) },
    text: sql,
    talk: pending.length === 0 ? `${database} is up to date.` : "Nothing was changed.",
  };
}

function askForBundled(): void {
  if ((environment()["DATABASE_URL"] ?? "").trim() !== "") {
    throw new Failure("usage", "--bundled is for a gateway without DATABASE_URL, which is set");
  }
  setEnvironment("SMARTDASH_BUNDLED_DATABASE", "on");
}
