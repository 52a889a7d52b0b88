import { stat } from "node:fs/promises";
import { isNear, readAddress } from "#db/address.ts";
import { databaseNow } from "#db/ping.ts";
import type { App } from "#src/app.ts";
import { cleanupTask, overdueDays } from "#src/operations/cleanup/cleanup.ts";
import { secondsSince } from "#src/operations/store.ts";
import { type CheckResult, pass, problem, skipped } from "./result.ts";
import { type DatabaseFacts, databaseFacts, missingNames, wronglyTaken } from "./store.ts";

type Deps = Pick<App, "db" | "config" | "now">;

const oldest = 140_000;
const [skewMs, backupDays] = [5000, 2];
const daySeconds = 86_400;

/** Version, rights, encryption and room of the database. */
export async function databaseItself(app: Deps): Promise<readonly CheckResult[]> {
  const facts = await databaseFacts(app.db);
  const version = `PostgreSQL ${Math.floor(facts.version / 10_000)}`;
  return [
    facts.version < oldest ? problem("database_old", version) : pass(4, "database", version),
    ...(app.config.databaseUrl === undefined ? bundled(app) : shared(app, facts)),
    ...room(app, facts),
  ];
}

function bundled({ config }: Deps): readonly CheckResult[] {
  if (!config.isProduction) return [];
  return [problem("database_bundled", "The bundled PostgreSQL holds the accounts")];
}

function shared({ config }: Deps, facts: DatabaseFacts): readonly CheckResult[] {
  const { hosts } = readAddress(config.databaseUrl?.reveal() ?? "postgres://localhost");
  // The host alone: behind a pooler the server's view says nothing about the way to it.
  return [roleOf(facts), travelling(facts, isNear(hosts))];
}

function roleOf({ isSuperuser, mayCreateRoles }: DatabaseFacts): CheckResult {
  if (!isSuperuser && !mayCreateRoles) {
    return pass(4, "database_role", "The gateway's role has no more rights than it needs");
  }
  const role = isSuperuser ? "a superuser" : "a role that creates roles";
  return problem("database_superuser", `The gateway connects as ${role}`);
}

function travelling({ isEncrypted }: DatabaseFacts, isNearby: boolean): CheckResult {
  if (!isEncrypted && !isNearby) {
    return problem("database_plain", "Credentials travel to the database unencrypted");
  }
  const how = isEncrypted ? "is encrypted" : "stays on this machine";
  return pass(4, "database_tls", `The connection to the database ${how}`);
}

function room({ config }: Deps, facts: DatabaseFacts): readonly CheckResult[] {
  const { mostConnections, usedConnections, gateways } = facts;
  const wanted = (config.databaseConnections + 1) * Math.max(1, gateways);
  const words = `${usedConnections} of ${mostConnections} connections are used; ${Math.max(1, gateways)} gateways want ${wanted}`;
  return wanted > mostConnections - 3
    ? [problem("connections_short", words)]
    : [pass(8, "connections", words)];
}

/** That the database refuses what must never be stored, and has every index that the code relies on. */
export async function constraintsThere({ db }: Deps): Promise<readonly CheckResult[]> {
  const [missing, taken] = [await missingNames(db), await wronglyTaken(db)];
  if (missing.length + taken.length === 0) {
    return [
      pass(4, "constraints", "Every constraint and index is there, and refuses what it must"),
    ];
  }
  return [
    ...missing.map((name) => problem("constraint_missing", `${name} is not in the database`)),
    ...taken.map((what) => problem("constraint_missing", `The database takes ${what}`)),
  ];
}

export async function clocksAgree(app: Deps): Promise<readonly CheckResult[]> {
  const before = app.now().getTime();
  const there = (await databaseNow(app.db)).getTime();
  const after = app.now().getTime();
  const skew = there < before ? before - there : Math.max(0, there - after);
  const words = `The database's clock differs by ${(skew / 1000).toFixed(1)} s`;
  return [skew > skewMs ? problem("clock_skew", words) : pass(4, "clock", words)];
}

/** Only where the operator has said how to know. */
export async function backupRecent(app: Deps): Promise<readonly CheckResult[]> {
  const { backupStamp } = app.config;
  if (backupStamp === undefined) {
    return [skipped(4, "backup", "Age of the last backup: SMARTDASH_BACKUP_STAMP is not set")];
  }
  const found = await stat(backupStamp).catch(() => undefined);
  if (found === undefined) return [problem("backup_old", `${backupStamp} is not there`)];
  const days = (app.now().getTime() - found.mtimeMs) / (daySeconds * 1000);
  const words = `The last backup ended ${days.toFixed(1)} days ago`;
  return [days > backupDays ? problem("backup_old", words) : pass(4, "backup", words)];
}

export async function cleanupRuns({ db }: Deps): Promise<readonly CheckResult[]> {
  const days = (await secondsSince(db, cleanupTask)) / daySeconds;
  return days > overdueDays
    ? [problem("cleanup_overdue", `smartdash cleanup has not run for ${Math.floor(days)} days`)]
    : [
        pass(
          4,
          "cleanup",
          `smartdash cleanup is not due for ${Math.ceil(overdueDays - days)} days`,
        ),
      ];
}
