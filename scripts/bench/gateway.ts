import { existsSync } from "node:fs";
import { join } from "node:path";
import { clientHeaders } from "./issuers.ts";
import type { Address } from "./jobs.ts";
import { seed } from "./seed.ts";
import type { Running } from "./targets.ts";

export type StartedGateway = Running & {
  readonly pid: number;
  /** Where the operator's agent gets its tokens, and how it proves itself there. */
  readonly token: Address;
};

const binary = join(import.meta.dir, "../../dist/smartdash");

/**
 * Starts the compiled gateway as operators run it, with one account whose upstream is `upstreamUrl` and one
 * agent: `headers` are what carries a session of it, `pid` is the process whose time and memory count.
 * Its database runs beside it, as a process of this bench. Gives nothing, after a line, without a build.
 */
export async function startGateway(upstreamUrl: string): Promise<StartedGateway | undefined> {
  if (!existsSync(binary)) {
    console.error("gateway: there is no dist/smartdash; run `bun run build` first");
    return undefined;
  }
  const seeded = await seed(upstreamUrl);
  const child = Bun.spawn([binary, "serve"], {
    env: { ...process.env, ...seeded.environment },
    stdout: "pipe",
    stderr: "ignore",
  });
  const url = await announcedUrl(child.stdout);
  return {
    url: `${url}/mcp/mercadolibre`,
    pid: child.pid,
    headers: { Authorization: `Bearer ${seeded.bearer}` },
    token: {
      url: `${url}/token`,
      headers: clientHeaders(seeded.clientId, seeded.clientSecret),
    },
    stop: async () => {
      child.kill("SIGTERM");
      await child.exited;
      await seeded.stop();
    },
  };
}

/** The gateway says where it serves in its first line. */
async function announcedUrl(output: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of output) {
    text += decoder.decode(chunk, { stream: true });
    const url = /serves (\S+)/.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error("the gateway ended before it served");
}
