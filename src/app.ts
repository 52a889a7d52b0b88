import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { randomBytes, randomUUID } from "node:crypto";
import { join } from "node:path";
import { type BundledDatabase, runningBundled, startBundled } from "#db/embedded.ts";
import { ownLike } from "#db/home.ts";
import { migrate, pendingMigrations } from "#db/migrate.ts";
import { ping } from "#db/ping.ts";
import { type Database, type OpenDatabase, openDatabase } from "#db/open.ts";
import { explaining } from "#db/explain.ts";
import { type Catalog, buildCatalog, issuersToDiscover } from "./upstreams/catalog.ts";
import { withDiscovered } from "./providers/discover.ts";
import { expectDatabase, refuseUnaskedDatabase } from "./config/database.ts";
import { type Config, loadConfig, originAt, refuse } from "./config/load.ts";
import type { Environment } from "./config/read.ts";
import { type Seal, createSeal, deriveKey, readKey } from "./crypto/seal.ts";
import { Failure } from "./failure.ts";
import { type Outbound, createOutbound } from "./http/fetch-exchange.ts";
import { type SingleFlight, createSingleFlight } from "./single-flight.ts";
import { createNow, within } from "./clock.ts";
import { type Runtime, version } from "./runtime/runtime.ts";
import { type Log, type Write, createLog, boundedWriter } from "./telemetry/log.ts";
import { type Metrics, unreadMetrics } from "./telemetry/metrics.ts";
import { type Tracing, createTracing } from "./telemetry/trace.ts";

/** What an operation may lean on. Operations ask for the parts they use. */
export type App = {
  readonly config: Config;
  readonly catalog: Catalog;
  readonly db: Database;
  /** Hears a channel of the database; see `OpenDatabase`. */
  readonly listen: OpenDatabase["listen"];
  readonly seal: Seal;
  /** Signs what is bound to a browser or a caller (form tokens, MCP session ids). */
  readonly bindingKey: Uint8Array;
  readonly outbound: Outbound;
  readonly singleFlight: SingleFlight;
  readonly now: () => Date;
  /** From 0 up to 1, for jitter; never for secrets. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Undefined when no collector is configured. */
  readonly tracing: Tracing | undefined;
  /** Names this process in leases. */
  readonly replica: string;
  /** Origin that browsers and agents see, without a trailing slash. */
  readonly publicUrl: string;
};

export type OpenApp = { readonly app: App; readonly close: () => Promise<void> };

export type OpenOptions = {
  readonly environment: Environment;
  readonly runtime: Runtime;
  /** A gateway owns the bundled database; a command joins the one that runs, or starts it for itself. */
  readonly role: "gateway" | "command";
  /** Goes on without a database that answers, or with one that lacks migrations: for who looks what is wrong. */
  readonly isTolerant?: boolean;
  /** How the log of a gateway is written; JSON lines unless somebody looks at a terminal. */
  readonly isPretty?: boolean;
  /** Where the log goes; a gateway's to stdout, a command's to stderr unless said. */
  readonly write?: Write;
};

/** Reads the settings, opens the database, and refuses to go on with either half right. */
export async function openApp(options: OpenOptions): Promise<OpenApp> {
  const configured = await configure(options);
  const { config } = configured;
  const now = createNow();
  const metrics = await metricsFor(config);
  const log = createLog({
    level: levelFor(config, options.role),
    isPretty: options.isPretty === true,
    now,
    // The results of a command are alone on stdout.
    write: options.write ?? writers[options.role],
    count: metrics.isRead ? (level, event) => metrics.line(level, event) : undefined,
  });
  const tracing = await tracingFor(config, options.role);
  const bundled = await bundledDatabase(config, options);
  const url = bundled?.url ?? config.databaseUrl?.reveal() ?? "";
  const open = openDatabase(url, config.databaseConnections);
  const close = async () => {
    await open.close();
    await bundled?.stop();
    await tracing?.stop();
    log.flush();
  };
  try {
    if (options.isTolerant !== true) {
      await explaining(url, () => bringUpToDate(open, bundled !== undefined));
    }
    bundled?.keepRunning((outcome) => {
      if (outcome === "failed") log.error("bundled_database_failed");
      else log.warn("bundled_database_restarted");
    });
    const { db, listen } = open;
    const parts = partsFrom(config, options.runtime);
    const telemetry = { log, metrics, tracing };
    return { app: { ...parts, ...configured, db, listen, now, ...telemetry }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function partsFrom(
  config: Config,
  runtime: Runtime,
): Omit<App, "config" | "catalog" | "db" | "listen" | "now" | "log" | "metrics" | "tracing"> {
  const keys = config.encryptionKeys.length > 0 ? config.encryptionKeys : [ownKey(config.home)];
  const [first = new Uint8Array()] = keys;
  return {
    seal: createSeal(keys),
    bindingKey: deriveKey(config.secretKey ?? first, "bindings"),
    outbound: createOutbound(config.providerTimeoutMs, runtime.onceOnly),
    singleFlight: createSingleFlight(),
    random: Math.random,
    replica: randomUUID(),
    publicUrl: originAt(config),
  };
}

async function configure(options: OpenOptions): Promise<{ config: Config; catalog: Catalog }> {
  const { config, problems } = loadConfig(options.environment);
  if (options.runtime.installPostgres === undefined && config.databaseUrl === undefined) {
    problems.push({ setting: "DATABASE_URL", message: `is required on ${options.runtime.name}` });
  }
  const outbound = createOutbound(config.providerTimeoutMs);
  const found = await withDiscovered(outbound, config.providers, issuersToDiscover(config));
  const built = buildCatalog({ ...config, providers: found.providers });
  refuse([...problems, ...found.problems, ...built.problems], options.environment);
  return { config: { ...config, providers: found.providers }, catalog: built.catalog };
}

async function bundledDatabase(
  config: Config,
  options: OpenOptions,
): Promise<Pick<BundledDatabase, "url" | "stop" | "keepRunning"> | undefined> {
  const install = options.runtime.installPostgres;
  if (config.databaseUrl !== undefined || install === undefined) return undefined;
  const running = options.role === "command" ? await runningBundled(config.home) : undefined;
  if (running !== undefined) {
    return { url: running, stop: () => Promise.resolve(), keepRunning: () => undefined };
  }
  if (options.role === "command") expectDatabase(config, options.environment);
  refuseUnaskedDatabase(config);
  return await startBundled(config.home, install);
}

const firstAnswerMs = 15_000;

/** The bundled database is ours to migrate; a shared one is migrated on purpose, by the operator. */
async function bringUpToDate(open: OpenDatabase, isBundled: boolean): Promise<void> {
  // A proxy that accepts and closes keeps the driver trying for ever.
  await within(firstAnswerMs, ping(open.db), () => new Failure("database_unavailable"));
  if (isBundled) {
    await migrate(open.sql);
    return;
  }
  const pending = await pendingMigrations(open.sql);
  if (pending.length === 0) return;
  throw new Failure("migrations_pending", `The database lacks ${pending.join(", ")}`, {
    hint: "Run: smartdash migrate",
  });
}

/** The key that the bundled mode makes for itself, readable by its user alone. */
function ownKey(home: string): Uint8Array {
  const file = join(home, "encryption.key");
  mkdirSync(home, { recursive: true });
  try {
    writeFileSync(file, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600, flag: "wx" });
    ownLike(home, file);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  const key = readKey(readFileSync(file, "utf8").trim());
  if (key === undefined) {
    throw new Failure("home_unusable", `${file} does not hold a key`, {
      hint: "Restore it from a backup, or set ENCRYPTION_KEY. Without the key, stored credentials cannot be opened.",
    });
  }
  return key;
}

async function metricsFor({ metrics }: Config): Promise<Metrics> {
  if (metrics.token === undefined && metrics.port === undefined) return unreadMetrics;
  const { createMetrics } = await import("./telemetry/prometheus.ts");
  return createMetrics(version);
}

/** A command has words of its own, and one that went well says nothing: cron would send mail about it. */
function levelFor({ logLevel }: Config, role: OpenOptions["role"]): Config["logLevel"] {
  return role === "command" && logLevel !== "debug" ? "error" : logLevel;
}

function tracingFor({ tracing }: Config, role: OpenOptions["role"]): Promise<Tracing> | undefined {
  const { endpoint, ...rest } = tracing;
  if (endpoint === undefined || role === "command") return undefined;
  return createTracing({ endpoint, version: version.number, ...rest });
}

const writers = {
  gateway: boundedWriter(() => process.stdout),
  command: boundedWriter(() => process.stderr),
};
