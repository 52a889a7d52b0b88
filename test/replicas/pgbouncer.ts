import { rm } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { forwardTcp } from "#test/cli/forwarder.ts";
import { type DebianProgram, debianProgram } from "#test/support/debian.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { freePort } from "#test/support/process.ts";
import { untilListening } from "./listening.ts";

/** The real PgBouncer in transaction mode; at most `poolSize` connections to the server for each database. */
export type Pgbouncer = AsyncDisposable & {
  /** The database that it was started for, through it. */
  readonly url: string;
  /** What it says of that database's pool now. */
  pool(): Promise<Pool>;
  /** Cuts every connection, as PgBouncer does on SIGTERM. */
  stop(): Promise<void>;
  /** At the port where it was before. */
  start(): Promise<void>;
};

export type Pool = {
  readonly mode: string;
  readonly clients: number;
  readonly servers: number;
  /** How many transactions it has passed on. */
  readonly transactions: number;
};

export const poolSize = 2;
const admin = "admin";

/** @param databaseUrl Of the bundled server, which lets nobody but us in, and only at its unix socket. */
export async function startPgbouncer(databaseUrl: string): Promise<Pgbouncer> {
  const program = await debianProgram("pgbouncer");
  await using stack = new AsyncDisposableStack();
  const forwarder = stack.use(await forwardTcp(databaseUrl));
  const folder = await temporaryFolder();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const server = new URL(forwarder.url);
  const port = await freePort();
  await Bun.write(join(folder, "pgbouncer.ini"), configuration(port, server));
  let child = await launch(program, folder, port);
  const stop = async () => {
    child.kill("SIGTERM");
    await child.exited;
  };
  stack.defer(stop);
  const owned = stack.move();
  return {
    url: `postgres://${server.username}@127.0.0.1:${port}${server.pathname}`,
    pool: () => askPool(port, server.pathname.slice(1)),
    stop,
    start: async () => {
      child = await launch(program, folder, port);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function configuration(port: number, server: URL): string {
  return `[databases]
* = host=127.0.0.1 port=${server.port} user=${server.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
admin_users = ${admin}
pool_mode = transaction
default_pool_size = ${poolSize}
max_client_conn = 200
`;
}

/** As root it wants to be told whom to become. */
async function launch(program: DebianProgram, folder: string, port: number) {
  const log = Bun.file(join(folder, "pgbouncer.log"));
  const become = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = Bun.spawn([program.path, ...become, join(folder, "pgbouncer.ini")], {
    env: { ...process.env, ...program.environment },
    stdio: ["ignore", "ignore", log],
  });
  await untilListening(port, child, () => log.text());
  return child;
}

async function askPool(port: number, database: string): Promise<Pool> {
  const sql = postgres(`postgres://${admin}@127.0.0.1:${port}/pgbouncer`, {
    max: 1,
    fetch_types: false,
    connection: { application_name: "test" },
  });
  try {
    const pool = rowOf(database, await sql.unsafe("show pools").simple());
    const stats = rowOf(database, await sql.unsafe("show stats").simple());
    const sum = (start: string) =>
      Object.keys(pool)
        .filter((key) => key.startsWith(start))
        .reduce((all, key) => all + Number(pool[key]), 0);
    return {
      mode: String(pool["pool_mode"]),
      clients: sum("cl_"),
      servers: sum("sv_"),
      transactions: Number(stats["total_xact_count"]),
    };
  } finally {
    await sql.end();
  }
}

function rowOf(database: string, rows: readonly postgres.Row[]): postgres.Row {
  const row = rows.find((each) => each["database"] === database);
  if (row === undefined) throw new Error(`PgBouncer knows nothing of ${database}`);
  return row;
}
