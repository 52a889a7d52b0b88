import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "#test/support/database.ts";

/** A home folder of one's own; whatever still runs in it at the end is killed, and the folder removed. */
export type TemporaryHome = AsyncDisposable & {
  readonly folder: string;
  /** The PostgreSQL server that runs in this folder, if one does. */
  serverPid(): number | undefined;
  killServer(): Promise<void>;
};

export async function temporaryHome(): Promise<TemporaryHome> {
  const folder = await temporaryFolder();
  const serverPid = () => {
    const file = join(folder, "data", "postmaster.pid");
    const pid = existsSync(file) ? Number(readFileSync(file, "utf8").split("\n")[0]) : undefined;
    return pid !== undefined && pid > 1 && commandOf(pid).includes(folder) ? pid : undefined;
  };
  const killServer = async () => {
    const pid = serverPid();
    if (pid === undefined) return;
    process.kill(pid, "SIGKILL");
    while (isRunning(pid)) await Bun.sleep(5);
  };
  return {
    folder,
    serverPid,
    killServer,
    async [Symbol.asyncDispose]() {
      await killServer();
      // Backends of a killed server leave on their own and may still write a last file.
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

/** A zombie that nobody has buried yet does not count. */
export function isRunning(pid: number): boolean {
  return commandOf(pid) !== "";
}

/** Guards against a process id that meanwhile belongs to somebody else; empty when it has ended. */
function commandOf(pid: number): string {
  if (process.platform !== "linux") {
    return Bun.spawnSync(["ps", "-o", "command=", "-p", String(pid)]).stdout.toString();
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
