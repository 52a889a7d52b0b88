import { startGateway } from "./gateway.ts";
import { guardsOff } from "./guards.ts";
import { startNginx } from "./nginx.ts";
import { own, startScript } from "./owned.ts";
import type { Stop } from "./owned.ts";

/** Something that answers MCP at `url`; without a `pid` its own time and memory are not counted. */
export type Running = {
  readonly url: string;
  readonly pid?: number;
  readonly headers: Record<string, string>;
  stop(): Promise<void>;
};

export const targetNames = ["direct", "nginx", "bare", "plain", "gateway", "unguarded"] as const;
export type TargetName = (typeof targetNames)[number];

export const titles: Readonly<Record<TargetName, string>> = {
  direct: "direct",
  nginx: "nginx proxy_pass",
  bare: "bare Bun.serve + fetch",
  plain: "plain function",
  gateway: "gateway",
  unguarded: "gateway without guards",
};

const starters: Readonly<
  Record<TargetName, (upstreamUrl: string) => Promise<Running | undefined>>
> = {
  direct: (url) => Promise.resolve({ url, headers: {}, stop: () => Promise.resolve() }),
  nginx: startNginx,
  bare: (upstreamUrl) => startOwn("stand-in.ts", upstreamUrl),
  plain: (upstreamUrl) => startOwn("plain.ts", upstreamUrl),
  gateway: (upstreamUrl) => startGateway(upstreamUrl),
  unguarded: (upstreamUrl) => startGateway(upstreamUrl, { environment: guardsOff }),
};

async function startOwn(script: string, upstreamUrl: string): Promise<Running> {
  const { url, child, stop } = await startScript(script, [upstreamUrl]);
  return { url, pid: child.pid, headers: {}, stop };
}

export type Target = Omit<Running, "stop"> & { readonly name: TargetName; readonly stop: Stop };

/** Starts one target, or gives nothing where it is not available (it has said so then). */
export async function startTarget(
  name: TargetName,
  upstreamUrl: string,
): Promise<Target | undefined> {
  const running = await starters[name](upstreamUrl);
  if (running === undefined) return undefined;
  // A token as long as an opaque one, so that every target reads about the same head.
  const headers = { Authorization: `Bearer ${"b".repeat(43)}`, ...running.headers };
  return { ...running, name, headers, stop: own(() => running.stop()) };
}
