import { spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, openSync, closeSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Guard, superviseServer } from "./server-supervisor.ts";
import { type Home, hasDatabase, lockHome, prepareHome } from "./home.ts";
import { openDatabase } from "./open.ts";
import { DatabaseProblem } from "./problem.ts";
import { isAlive, serverPid, signal } from "./server-process.ts";

/** Puts PostgreSQL's `bin`, `lib` and `share` into a folder; the runtime knows where they come from. */
export type InstallPostgres = (folder: string) => Promise<void>;

export type BundledDatabase = {
  readonly url: string;
  /** True when a server that outlived its gateway was found and taken over. */
  readonly adopted: boolean;
  /** From now on a server that dies is started again; `tell` hears of it. */
  keepRunning(tell: (outcome: "restarted" | "failed") => void): void;
  stop(): Promise<void>;
};

type ServerSettings = Readonly<Record<string, string>>;

const startSeconds = 60;
const stopSeconds = 20;
const startAttempts = 10;
const role = "smartdash";

/**
 * Starts the bundled PostgreSQL in `folder` for one gateway: unpack, initdb, start or adopt.
 * A unix socket only, fsync on. Failures: `home_in_use`, `home_unusable`, `bundled_database_failed`.
 * @param settings Of PostgreSQL, for test servers alone; a gateway passes none.
 */
export async function startBundled(
  folder: string,
  install: InstallPostgres,
  settings: ServerSettings = {},
): Promise<BundledDatabase> {
  const home = prepareHome(folder);
  const lock = lockHome(home);
  try {
    const binaries = await installOnce(home, install);
    await createCluster(home, binaries);
    const adopted = (await answers(home)) || (await startServer(home, binaries, settings));
    await createDatabase(home);
    const restart = async () => void (await startServer(home, binaries, settings));
    let guard: Guard | undefined;
    return {
      url: urlOf(home, role),
      adopted,
      keepRunning: (tell) => {
        guard ??= superviseServer({ isAlive: () => isAlive(home), start: restart, tell });
      },
      stop: async () => {
        await guard?.stop();
        await stopServer(home);
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The URL of a bundled server that some gateway is running in `folder`, if one answers. */
export async function runningBundled(folder: string): Promise<string | undefined> {
  if (!hasDatabase(folder)) return undefined;
  const home = prepareHome(folder);
  return (await answers(home)) ? urlOf(home, role) : undefined;
}

async function installOnce(home: Home, install: InstallPostgres): Promise<string> {
  const folder = join(home.folder, "postgres-18");
  if (existsSync(folder)) return join(folder, "bin");
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await install(unfinished);
  await rename(unfinished, folder);
  return join(folder, "bin");
}

/** A kill in the middle leaves only `data.unfinished`, which the next start throws away. */
async function createCluster(home: Home, binaries: string): Promise<void> {
  mkdirSync(home.socket, { recursive: true });
  own(home, home.socket);
  if (existsSync(home.data)) return;
  const unfinished = `${home.data}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished);
  own(home, unfinished);
  const options = ["-D", unfinished, "-U", role, "-E", "UTF8", "-A", "peer", "--no-instructions"];
  const outcome = await run(home, join(binaries, "initdb"), [
    ...options,
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
  ]);
  if (outcome !== 0) throw failed(home, `initdb ended with ${outcome}`);
  await writeFile(join(unfinished, "pg_hba.conf"), "local all all peer map=gateway\n");
  // The socket folder keeps everybody else out; as root, this also keeps out other programs of 'nobody'.
  const gatewayUser = home.serverUser === undefined ? "/^.*$" : "root";
  await writeFile(join(unfinished, "pg_ident.conf"), `gateway ${gatewayUser} ${role}\n`);
  await rename(unfinished, home.data);
}

async function startServer(home: Home, binaries: string, settings: ServerSettings): Promise<false> {
  for (let attempt = 1; attempt <= startAttempts; attempt++) {
    const server = launch(home, join(binaries, "postgres"), serverOptions(home, settings));
    if (await becomesReady(home, server.ended)) {
      server.release();
      return false;
    }
    server.stop();
    // After kill -9 of a server its shared memory is held until the last backend has noticed.
    await sleep(300);
  }
  throw failed(home, "The bundled PostgreSQL did not start");
}

function serverOptions(home: Home, extra: ServerSettings): string[] {
  const settings = {
    listen_addresses: "",
    unix_socket_directories: home.socket,
    unix_socket_permissions: "0700",
    max_connections: "60",
    shared_buffers: "32MB",
    log_min_messages: "warning",
    log_min_error_statement: "panic",
    log_parameter_max_length: "0",
    log_parameter_max_length_on_error: "0",
    ...extra,
  };
  return ["-D", home.data, ...Object.entries(settings).flatMap(([k, v]) => ["-c", `${k}=${v}`])];
}

async function becomesReady(home: Home, ended: Promise<unknown>): Promise<boolean> {
  const deadline = Date.now() + startSeconds * 1000;
  while (Date.now() < deadline) {
    if (await answers(home)) return true;
    const outcome = await Promise.race([ended, sleep(15, "running")]);
    if (outcome !== "running") return false;
  }
  return false;
}

/** A server answers when its socket is there and it lets us in. */
async function answers(home: Home): Promise<boolean> {
  if (!existsSync(join(home.socket, ".s.PGSQL.5432"))) return false;
  const open = openDatabase(urlOf(home, "postgres"), 1);
  try {
    await open.sql`select 1`;
    return true;
  } catch {
    return false;
  } finally {
    await open.close();
  }
}

async function createDatabase(home: Home): Promise<void> {
  const open = openDatabase(urlOf(home, "postgres"), 1);
  try {
    const found = await open.sql`select 1 from pg_database where datname = ${role}`;
    if (found.length === 0) await open.sql.unsafe(`create database ${role}`);
  } finally {
    await open.close();
  }
}

async function stopServer(home: Home): Promise<void> {
  const pid = serverPid(home);
  // Without an answer the number may be somebody else's by now: a killed server leaves its file behind.
  if (pid === undefined || !(await answers(home))) return;
  signal(pid, "SIGINT");
  const deadline = Date.now() + stopSeconds * 1000;
  while (signal(pid, 0) && Date.now() < deadline + 1000) {
    if (Date.now() > deadline) signal(pid, "SIGQUIT");
    await sleep(10);
  }
}

async function run(
  home: Home,
  program: string,
  options: readonly string[],
): Promise<number | string> {
  const started = launch(home, program, options);
  const outcome = await Promise.race([
    started.ended,
    sleep(startSeconds * 1000, "no answer", { ref: false }),
  ]);
  started.release();
  return outcome;
}

/** In a session of its own, so that Ctrl-C reaches the gateway alone and it stops the server in order. */
function launch(home: Home, program: string, options: readonly string[]) {
  const log = openSync(home.log, "a", 0o600);
  const child = spawn(program, options, {
    cwd: home.folder,
    detached: true,
    stdio: ["ignore", log, log],
    env: { LC_ALL: "C", TZ: "UTC" },
    ...home.serverUser,
  });
  closeSync(log);
  const ended = new Promise<number | string>((resolve) => {
    child.once("exit", (code, killedBy) => resolve(code ?? killedBy ?? "unknown"));
    child.once("error", (error) => resolve(error.message));
  });
  return { ended, release: () => child.unref(), stop: () => void child.kill("SIGQUIT") };
}

function own(home: Home, folder: string): void {
  chmodSync(folder, 0o700);
  if (home.serverUser !== undefined) chownSync(folder, home.serverUser.uid, home.serverUser.gid);
}

function urlOf(home: Home, database: string): string {
  return `postgres://${role}@localhost/${database}?host=${encodeURIComponent(home.socket)}`;
}

function failed(home: Home, message: string): DatabaseProblem {
  return new DatabaseProblem(
    "bundled_database_failed",
    message,
    `Read the end of ${home.log}. The folder must allow programs to run (no noexec mount) and the system must have glibc; otherwise set DATABASE_URL.`,
  );
}
