import { existsSync } from "node:fs";
import { join } from "node:path";
import type { FolderDatabase } from "./database.ts";
import { clientHeaders } from "./issuers.ts";
import type { Address } from "./jobs.ts";
import { own } from "./owned.ts";
import { type Seeding, seed } from "./seed.ts";
import type { Running } from "./targets.ts";

export type StartedGateway = Running & {
  readonly pid: number;
  /** Where the operator's agent gets its tokens, and how it proves itself there. */
  readonly token: Address;
  /** A session's of each account; `headers` carry the first. */
  readonly bearers: readonly string[];
  readonly database: FolderDatabase;
};

const builtBinary = join(import.meta.dir, "../../dist/smartdash");

/**
 * Starts the compiled gateway as operators run it, with one account, unless `seeding` says more, whose upstream
 * is `upstreamUrl`, and one agent: `pid` is the process whose time and memory count.
 * Its database runs beside it, as a process of this bench. Gives nothing, after a line, without a build.
 */
export async function startGateway(
  upstreamUrl: string,
  seeding: Seeding = {},
  binary = builtBinary,
): Promise<StartedGateway | undefined> {
  if (!existsSync(binary)) {
    console.error(`gateway: there is no ${binary}; run \`bun run build\` first`);
    return undefined;
  }
  const seeded = await seed(upstreamUrl, seeding);
  const child = Bun.spawn([binary, "serve"], {
    env: { ...process.env, ...seeded.environment },
    stdout: "pipe",
    stderr: "ignore",
  });
  const end = own(async () => {
    child.kill("SIGTERM");
    await child.exited;
  });
  const url = await announcedUrl(child.stdout);
  const headers = { Authorization: `Bearer ${seeded.bearers[0]}` };
  await listTools(`${url}/mcp/mercadolibre`, headers);
  return {
    url: `${url}/mcp/mercadolibre`,
    pid: child.pid,
    headers,
    bearers: seeded.bearers,
    database: seeded.database,
    token: {
      url: `${url}/token`,
      headers: clientHeaders(seeded.clientId, seeded.clientSecret),
    },
    stop: async () => {
      await end();
      await seeded.stop();
    },
  };
}

/** As every client does before it calls one: the gateway then knows them. */
export async function listTools(url: string, headers: Record<string, string>): Promise<void> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 0, method: "tools/list" });
  const type = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const response = await fetch(url, { method: "POST", headers: { ...headers, ...type }, body });
  if (!response.ok) throw new Error(`no list of tools: ${response.status}`);
  await response.text();
}

/** The gateway says where it serves in its log, which is read on: a pipe that nobody empties fills up. */
export function announcedUrl(output: ReadableStream<Uint8Array>): Promise<string> {
  const found = Promise.withResolvers<string>();
  const read = async () => {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of output) {
      if (text.length < mostAnnounced) text += decoder.decode(chunk, { stream: true });
      const url = /"event":"serving","url":"([^"]+)"/.exec(text)?.[1];
      if (url !== undefined) found.resolve(url);
    }
    found.reject(new Error("the gateway ended before it served"));
  };
  void read();
  return found.promise;
}

const mostAnnounced = 64 * 1024;
