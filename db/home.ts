import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DatabaseProblem } from "./problem.ts";

/** The folders of a bundled database. */
export type Home = {
  readonly folder: string;
  readonly data: string;
  readonly socket: string;
  readonly log: string;
  /** Whom the server runs as; undefined when the gateway itself is unprivileged. */
  readonly serverUser: { readonly uid: number; readonly gid: number } | undefined;
};

type HomeLock = { release(): void };

/** The folder of the bundled server's data, within the home. */
const dataFolder = (folder: string) => join(folder, "data");

/** Whether a bundled database was made there. */
export function hasDatabase(folder: string): boolean {
  return existsSync(dataFolder(folder));
}

/** `sun_path` holds 104 bytes on macOS and 108 on Linux, the server adds `/.s.PGSQL.5432.lock`. */
const longestSocketFolder = 84;

/** Makes the home folder ready to hold a bundled database. Failures: `home_unusable`. */
export function prepareHome(folder: string): Home {
  const isRoot = process.getuid?.() === 0;
  const home = {
    folder,
    data: dataFolder(folder),
    socket: join(folder, "run"),
    log: join(folder, "postgres.log"),
    serverUser: isRoot ? unprivilegedUser() : undefined,
  };
  if (Buffer.byteLength(home.socket) > longestSocketFolder) {
    throw unusable(
      `${folder} is too long a path for a unix socket`,
      "Set SMARTDASH_HOME to a shorter path.",
    );
  }
  makeFolder(folder, isRoot);
  if (isRoot) refuseHiddenParents(folder);
  return home;
}

/**
 * Takes the folder for this process; the operating system gives it back even after kill -9.
 * Failures: `home_in_use`.
 */
export function lockHome(home: Home): HomeLock {
  const file = join(home.folder, "gateway.lock");
  const lock = new DatabaseSync(file);
  chmodSync(file, 0o600);
  try {
    lock.exec("pragma busy_timeout = 500; begin exclusive");
  } catch {
    lock.close();
    throw new DatabaseProblem(
      "home_in_use",
      `Another smartdash gateway is using ${home.folder}`,
      "Stop it, set SMARTDASH_HOME to another folder, or give both a DATABASE_URL to share.",
    );
  }
  return { release: () => lock.close() };
}

/** Root makes files for a folder's owner, who has to read them. */
export function ownLike(folder: string, file: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(folder);
  if (uid !== 0) chownSync(file, uid, gid);
}

function makeFolder(folder: string, isRoot: boolean): void {
  try {
    mkdirSync(folder, { recursive: true });
    // Root's server runs as somebody else and must be able to pass through.
    chmodSync(folder, isRoot ? 0o711 : 0o700);
  } catch {
    throw unusable(
      `${folder} cannot be created or is not ours`,
      "Set SMARTDASH_HOME to a folder that this user may write.",
    );
  }
}

function refuseHiddenParents(folder: string): void {
  for (let parent = dirname(folder); parent !== dirname(parent); parent = dirname(parent)) {
    if ((statSync(parent).mode & 0o001) === 0) {
      throw unusable(
        `PostgreSQL does not run as root, and the user it runs as cannot pass through ${parent}`,
        "Set SMARTDASH_HOME to a folder that everybody may pass through (such as /var/lib/smartdash), or run smartdash as an ordinary user.",
      );
    }
  }
}

function unprivilegedUser(): { uid: number; gid: number } {
  const line = existsSync("/etc/passwd")
    ? readFileSync("/etc/passwd", "utf8")
        .split("\n")
        .find((entry) => entry.startsWith("nobody:"))
    : undefined;
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) {
    throw unusable(
      "PostgreSQL does not run as root, and there is no user 'nobody' to run it as",
      "Run smartdash as an ordinary user, or set DATABASE_URL.",
    );
  }
  return { uid: Number(uid), gid: Number(gid) };
}

function unusable(message: string, hint: string): DatabaseProblem {
  return new DatabaseProblem("home_unusable", message, hint);
}
