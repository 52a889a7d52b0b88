import type { Running } from "./targets.ts";

/**
 * Starts the gateway with one account whose upstream is `upstreamUrl`, and signs one agent in: `headers` are what that
 * agent sends, `url` is where it posts MCP, `pid` is the process whose time and memory count (with its children).
 * Gives nothing, after a line that says why, while there is no gateway to start.
 */
export async function startGateway(
  _upstreamUrl: string,
): Promise<(Running & { readonly pid: number }) | undefined> {
  console.error("gateway: not wired into the bench yet (scripts/bench/gateway.ts)");
  return Promise.resolve(undefined);
}
