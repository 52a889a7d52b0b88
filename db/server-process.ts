import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Home } from "./home.ts";

/** The process id of the server that owns the data folder, from `postmaster.pid`. */
export function serverPid(home: Home): number | undefined {
  const file = join(home.data, "postmaster.pid");
  if (!existsSync(file)) return undefined;
  const pid = Number(readFileSync(file, "utf8").split("\n")[0]);
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}

export function isAlive(home: Home): boolean {
  const pid = serverPid(home);
  return pid !== undefined && signal(pid, 0);
}

/** False when there is no such process. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
