import { mkdtemp, readFile, readdir, rm, stat, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Failure, codeOf } from "#src/failure.ts";
import { interrupted, onStopSignal } from "#src/runtime/signals.ts";

const homePrefix = "sd-rehearsal-";

/** PostgreSQL's programs, a cluster, and what the flows write. */
const neededMiB = 150;
const mebibyte = 1024 * 1024;

/**
 * A home for a self-test, in the folder for temporary things; what earlier ones left there is taken away.
 * Failures: `home_unusable`.
 */
export async function newHome(): Promise<string> {
  await removeAbandoned();
  try {
    await proveRoom(tmpdir());
    return await mkdtemp(join(tmpdir(), homePrefix));
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw unusable(`cannot be written (${codeOf(error) ?? "unknown"})`);
  }
}

async function proveRoom(folder: string): Promise<void> {
  const { bsize, blocks, bavail } = await statfs(folder);
  const roomMiB = Math.floor((bavail * bsize) / mebibyte);
  // Some file systems do not say how large they are.
  if (blocks === 0 || roomMiB >= neededMiB) return;
  throw unusable(`has ${roomMiB} MiB of room, and ${neededMiB} are needed`);
}

function unusable(why: string): Failure {
  return new Failure("home_unusable", `The folder for temporary files, ${tmpdir()}, ${why}`, {
    hint: "Set TMPDIR to a folder that this user may write and that allows programs to run.",
  });
}

const longestMs = 10 * 60_000;

/** A self-test that was killed leaves its folder and its database running: the next one takes both away. */
async function removeAbandoned(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names.filter((each) => each.startsWith(homePrefix))) {
    const folder = join(tmpdir(), name);
    const found = await stat(folder).catch(() => undefined);
    const isOurs = found !== undefined && found.uid === (process.getuid?.() ?? found.uid);
    // The clock of the file system, not the app's.
    if (!isOurs || Date.now() - found.mtimeMs < longestMs) continue;
    await stopServer(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 }).catch(() => undefined);
  }
}

/** Only the server of this very folder: the number in its file may be somebody else's by now. */
async function stopServer(folder: string): Promise<void> {
  const text = await readFile(join(folder, "data/postmaster.pid"), "utf8").catch(() => "");
  const pid = Number.parseInt(text, 10);
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  if (!command.includes(folder)) return;
  try {
    process.kill(pid, "SIGQUIT");
    // What it still writes would be in the way of removing its folder.
    for (let looks = 0; looks < mostLooks; looks += 1) {
      await sleep(lookMs);
      process.kill(pid, 0);
    }
  } catch {
    // It has ended.
  }
}

const [mostLooks, lookMs] = [100, 50];

/** Takes everything away before the process ends on Ctrl-C or SIGTERM. Returns how to stop listening. */
export function onSignals(dispose: () => Promise<void>): () => void {
  return onStopSignal(() => void dispose().finally(() => process.exit(interrupted)));
}
