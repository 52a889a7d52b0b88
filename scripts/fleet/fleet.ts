import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Shed, startShed } from "./shed.ts";

/** How smartdash is started here: the source, or a compiled binary. */
export type Program = readonly [string, ...string[]];

export type FleetNode = {
  readonly name: string;
  readonly url: string;
  readonly home: string;
  /** With what its commands are run. */
  readonly environment: Readonly<Record<string, string>>;
  /** Runs a command beside it and returns what it prints. */
  run(...words: readonly string[]): Promise<string>;
};

export type Fleet = AsyncDisposable & { readonly nodes: readonly FleetNode[] };

const readyMs = 90_000;
const stopMs = 20_000;

/**
 * Nodes on loopback: each has a port, a folder, a database and a key of its own; they share a fleet key and find each
 * other by mDNS on 127.0.0.1. The last one alone has an MCP server behind it, the shed.
 */
export async function startFleet(program: Program, count: number): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "smartdash-fleet-"));
  // As root, PostgreSQL runs as somebody else, who has to pass through.
  chmodSync(folder, 0o755);
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const shed = startShed();
  stack.defer(() => shed.stop());
  const fleetKey = randomBytes(32).toString("base64");
  const nodes: FleetNode[] = [];
  const started: Promise<void>[] = [];
  for (let number = 1; number <= count; number += 1) {
    const name = `node-${number}`;
    const environment = await environmentOf({
      home: join(folder, name),
      fleetKey,
      shed: number === count ? shed : undefined,
    });
    const node = { ...nodeOf(program, environment), name };
    const child = Bun.spawn([...program, "serve"], {
      env: environment,
      stdout: "ignore",
      stderr: "inherit",
      // Ctrl-C is for us: a node that is told twice does not wait for its database.
      detached: true,
    });
    stack.defer(() => end(child));
    started.push(ready(node.url, child));
    nodes.push(node);
  }
  await Promise.all(started);
  const kept = stack.move();
  return { nodes, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function environmentOf(about: {
  readonly home: string;
  readonly fleetKey: string;
  readonly shed: Shed | undefined;
}): Promise<Readonly<Record<string, string>>> {
  const { home, fleetKey, shed } = about;
  const port = await freePort();
  mkdirSync(home, { recursive: true });
  return {
    PATH: process.env["PATH"] ?? "",
    SMARTDASH_HOME: home,
    SMARTDASH_MODE: "development",
    SMARTDASH_EDGE: "on",
    SMARTDASH_EDGE_INTERFACE: "127.0.0.1",
    SMARTDASH_FLEET_KEY: fleetKey,
    TLS_SELF_SIGNED: "on",
    PORT: String(port),
    PUBLIC_URL: `https://localhost:${port}`,
    SMARTDASH_BUNDLED_DATABASE: "on",
    LOG_LEVEL: "error",
    ...(shed === undefined
      ? { SMARTDASH_DEFAULT_UPSTREAM: "node" }
      : {
          SMARTDASH_DEFAULT_UPSTREAM: "shed",
          SMARTDASH_UPSTREAMS: JSON.stringify({ shed: { url: shed.url, credential: "none" } }),
        }),
  };
}

function nodeOf(program: Program, environment: Readonly<Record<string, string>>) {
  return {
    url: environment["PUBLIC_URL"] ?? "",
    home: environment["SMARTDASH_HOME"] ?? "",
    environment,
    async run(...words: readonly string[]): Promise<string> {
      const child = Bun.spawn([...program, ...words], { env: environment, stderr: "inherit" });
      const text = await new Response(child.stdout).text();
      if ((await child.exited) !== 0) throw new Error(`smartdash ${words.join(" ")} failed`);
      return text.trim();
    },
  };
}

/** Free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function ready(url: string, child: Bun.Subprocess): Promise<void> {
  const end = performance.now() + readyMs;
  while (performance.now() < end && child.exitCode === null) {
    const isReady = await fetch(`${url}/readyz`, { tls: { rejectUnauthorized: false } }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return;
    await Bun.sleep(100);
  }
  throw new Error(`${url} did not become ready`);
}

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), stopMs);
  await child.exited;
  clearTimeout(timer);
}
