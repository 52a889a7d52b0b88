import { startScript } from "./owned.ts";
import type { Running } from "./targets.ts";

/** nginx as a single process, or nothing where it is not installed. */
export async function startNginx(upstreamUrl: string): Promise<Running | undefined> {
  const folders = [process.env["PATH"], "/usr/sbin", "/usr/local/sbin"];
  const program = Bun.which("nginx", { PATH: folders.join(":") });
  if (program === null) {
    console.error("nginx: not found in PATH or /usr/sbin; ratios are against direct");
    return undefined;
  }
  const { url, child, stop } = await startScript("nginx-host.ts", [program, upstreamUrl]);
  // The process that hosts nginx sleeps: what its family uses is what nginx uses.
  return { url, pid: child.pid, headers: {}, stop };
}
