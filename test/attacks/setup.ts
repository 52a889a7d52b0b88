import { openApp } from "#src/app.ts";
import type { Environment } from "#src/config/read.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { startGateway } from "#src/gateway/gateway.ts";
import { createLog } from "#src/telemetry/log.ts";
import { type Visitor, connectSeller, newVisitor } from "#test/support/browser-like.ts";
import { type ScriptedUpstream, pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { type World, openWorld } from "#test/support/world.ts";

/** A second gateway on the same database, with a clock of its own. */
export type Beside = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  /** Every line it has logged, in its most talkative setting. */
  logs(): string;
  advance(milliseconds: number): void;
};

export async function startBeside(world: World, environment: Environment = {}): Promise<Beside> {
  const { app, close } = await openApp({
    environment: { ...world.environment, ...environment },
    runtime: bunRuntime,
    role: "gateway",
  });
  let offset = 0;
  const lines: string[] = [];
  const now = () => new Date(Date.now() + offset);
  const log = createLog({ level: "debug", now, write: (text) => lines.push(text) > 0 });
  const gateway = await startGateway({ ...app, now, log }, bunRuntime);
  return {
    url: gateway.publicUrl,
    port: gateway.port,
    logs: () => {
      log.flush();
      return lines.join("");
    },
    advance: (milliseconds) => {
      offset += milliseconds;
    },
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      await close();
    },
  };
}

/** A world whose upstream only notes what it is sent and answers with an empty result. */
export type Spied = AsyncDisposable & {
  readonly world: World;
  readonly upstream: ScriptedUpstream;
};

export async function emptyResult(request: Request): Promise<Response> {
  const text = await request.text();
  const { id = null } = text === "" ? {} : (JSON.parse(text) as { id?: unknown });
  return Response.json({ jsonrpc: "2.0", id, result: {} });
}

export async function openSpied(
  answer: (request: Request) => Response | Promise<Response> = emptyResult,
  options: {
    readonly more?: (url: string) => Readonly<Record<string, unknown>>;
    /** Further fields of the upstream. */
    readonly rules?: Readonly<Record<string, unknown>>;
  } = {},
): Promise<Spied> {
  const upstream = scriptedUpstream(answer);
  const more = options.more?.(upstream.url) ?? {};
  const own = { mercadolibre: { url: upstream.url, ...options.rules } };
  const world = await openWorld({ environment: pointedAt(upstream.url, { ...own, ...more }) });
  return {
    world,
    upstream,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** What a message of MCP 2026-07-28 says about itself. */
export const modernMeta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } as const;

export async function connectedVisitor(url: string, seller?: string): Promise<Visitor> {
  const visitor = newVisitor();
  await connectSeller(visitor, seller === undefined ? { url } : { url, seller });
  return visitor;
}

/** How many authorization codes and grants there are: none when nothing was agreed to. */
export async function agreements(world: World): Promise<number> {
  const [row] = await world.app.db.execute<{ many: number }>(
    "select ((select count(*) from authorization_codes) + (select count(*) from grants) + (select count(*) from consents))::int as many",
  );
  return row?.many ?? -1;
}

/** Listens on loopback and counts who comes; answers nothing. */
export type Listener = Disposable & { readonly port: number; readonly connections: () => number };

export function countConnections(hostname = "127.0.0.1"): Listener {
  let connections = 0;
  const server = Bun.listen({
    hostname,
    port: 0,
    socket: {
      open: (socket) => {
        connections += 1;
        socket.end();
      },
      data: () => undefined,
    },
  });
  return {
    port: server.port,
    connections: () => connections,
    [Symbol.dispose]: () => server.stop(true),
  };
}

export async function* textsOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) yield decoder.decode(chunk, { stream: true });
}

/** Sends bytes as they are and gathers the answer until the other side closes or falls silent. */
export function sendRaw(url: string, bytes: string | Uint8Array, silentMs = 400): Promise<string> {
  const { port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  let timer = setTimeout(() => resolve(text), 3000);
  const decoder = new TextDecoder();
  void Bun.connect({
    hostname: "127.0.0.1",
    port: Number(port),
    socket: {
      open: (socket) => void socket.write(bytes),
      data: (socket, data) => {
        text += decoder.decode(data, { stream: true });
        clearTimeout(timer);
        timer = setTimeout(() => {
          resolve(text);
          socket.end();
        }, silentMs);
      },
      close: () => {
        clearTimeout(timer);
        resolve(text);
      },
      connectError: (_, error) => reject(error),
    },
  });
  return promise;
}

/** The status of every response in what a bare socket has received. */
export function statusesIn(raw: string): number[] {
  return [...raw.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
}
