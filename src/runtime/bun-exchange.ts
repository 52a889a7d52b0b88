import type { Exchange, Flow, Incoming, OutgoingRequest, Sink } from "#src/http/exchange.ts";
import { type Target, encodeRequest, targetOf } from "#src/http/request-target.ts";
import { type Head, ResponseParser } from "#src/http/response-parser.ts";

/**
 * HTTP/1.1 on Bun's own sockets. An idle stream costs about half of what it does through `fetch`, there is no
 * limit of 256 at once, and a request is never sent twice. Certificates and host names are verified.
 */
export const bunExchange: Exchange = async (request) => {
  if (request.signal.aborted) throw new Error("aborted");
  const target = targetOf(request.url);
  const bytes = encodeRequest(request, target);
  const connection = takeIdle(target) ?? (await connect(target, request.signal));
  return await connection.send(bytes, request);
};

type Running = {
  readonly parser: ResponseParser;
  readonly head: PromiseWithResolvers<Incoming>;
  isReusable: boolean;
  isAnswered: boolean;
  /** What arrived while nobody listens or the listener is paused. */
  waiting: Uint8Array<ArrayBuffer>[];
  waitingBytes: number;
  sink: Sink | undefined;
  isPaused: boolean;
  outcome: "running" | "ended" | Error;
};

const idleMs = 4000;
const mostIdlePerOrigin = 256;
/** So much may wait for a slow listener; then the upstream has to wait. */
const mostWaitingBytes = 64 * 1024;
/** By origin. Where a server commonly closes after five seconds of silence, we are gone after four. */
const idle = new Map<string, Connection[]>();

class Connection {
  readonly origin: string;
  readonly opened = Promise.withResolvers<Connection>();
  socket: Bun.Socket<Connection> | undefined;
  idleSince = 0;
  #unsent: Uint8Array | undefined;
  #running: Running | undefined;

  constructor(origin: string) {
    this.origin = origin;
  }

  send(bytes: Uint8Array, request: OutgoingRequest): Promise<Incoming> {
    const running: Running = {
      head: Promise.withResolvers(),
      parser: new ResponseParser(request.method, {
        head: (head) => this.#begin(running, head),
        chunk: (bytes) => this.#chunk(running, bytes),
        end: (isClean) => this.#end(running, isClean),
      }),
      isReusable: false,
      isAnswered: false,
      waiting: [],
      waitingBytes: 0,
      sink: undefined,
      isPaused: true,
      outcome: "running",
    };
    this.#running = running;
    request.signal.addEventListener("abort", () => this.#abort(running), { once: true });
    this.#write(bytes);
    return running.head.promise;
  }

  #begin(running: Running, head: Head): void {
    running.isReusable = head.isReusable;
    running.isAnswered = true;
    const get = (name: string) => head.headers.get(name.toLowerCase()) ?? null;
    running.head.resolve({
      status: head.status,
      headers: { get },
      flow: (sink) => this.#flow(running, sink),
    });
  }

  #flow(running: Running, sink: Sink): Flow {
    running.sink = sink;
    return {
      pause: () => void (running.isPaused = true),
      resume: () => {
        running.isPaused = false;
        if (this.#running === running) this.socket?.resume();
        pass(running);
      },
      cancel: () => {
        running.sink = undefined;
        this.#abort(running);
      },
    };
  }

  #chunk(running: Running, bytes: Uint8Array<ArrayBuffer>): void {
    running.waiting.push(bytes);
    running.waitingBytes += bytes.length;
    pass(running);
    if (running.waitingBytes >= mostWaitingBytes) this.socket?.pause();
  }

  #end(running: Running, isClean: boolean): void {
    this.#running = undefined;
    running.outcome = "ended";
    const isFree = isClean && running.isReusable && this.#unsent === undefined;
    if (isFree) keepIdle(this);
    else this.socket?.terminate();
    pass(running);
  }

  #abort(running: Running): void {
    if (this.#running !== running) return;
    this.fail(new Error("aborted"));
  }

  /** The connection is over, for whatever reason. */
  fail(error: Error): void {
    const running = this.#running;
    this.#running = undefined;
    this.socket?.terminate();
    forgetIdle(this);
    this.opened.reject(error);
    if (running === undefined) return;
    running.outcome = error;
    running.head.reject(error);
    pass(running);
  }

  receive(bytes: Uint8Array<ArrayBuffer>): void {
    const running = this.#running;
    // Nobody asked: a server that talks out of turn is not trusted with another request.
    if (running === undefined) return this.fail(new Error("unexpected bytes"));
    try {
      running.parser.push(bytes);
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error("unreadable"));
    }
  }

  closed(): void {
    const running = this.#running;
    try {
      if (running?.isAnswered === true) running.parser.close();
      this.fail(new Error("the connection was closed"));
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error("the connection was closed"));
    }
  }

  #write(bytes: Uint8Array): void {
    const written = this.socket?.write(bytes) ?? -1;
    if (written < 0) return this.fail(new Error("the connection was closed"));
    this.#unsent = written < bytes.length ? bytes.subarray(written) : undefined;
  }

  drained(): void {
    if (this.#unsent !== undefined) this.#write(this.#unsent);
  }
}

/** Hands on what waits, as far as the listener wants it. */
function pass(running: Running): void {
  const { sink } = running;
  if (sink === undefined) return;
  while (!running.isPaused && running.sink === sink) {
    const next = running.waiting.shift();
    if (next === undefined) break;
    running.waitingBytes -= next.length;
    sink.chunk(next);
  }
  if (running.sink !== sink || running.waiting.length > 0 || running.outcome === "running") return;
  running.sink = undefined;
  if (running.outcome === "ended") sink.end();
  else sink.fail(running.outcome);
}

const handlers: Bun.SocketHandler<Connection> = {
  open: (socket) => {
    socket.data.socket = socket;
    if (!socket.data.origin.startsWith("https:")) socket.data.opened.resolve(socket.data);
  },
  handshake: (socket, isTrusted, error) => {
    // `isTrusted` covers the chain and the host name; nothing has been sent yet.
    if (isTrusted) socket.data.opened.resolve(socket.data);
    else socket.data.fail(error ?? new Error("the certificate is not trusted"));
  },
  data: (socket, bytes) => socket.data.receive(new Uint8Array(bytes)),
  drain: (socket) => socket.data.drained(),
  close: (socket) => socket.data.closed(),
  end: (socket) => socket.data.closed(),
  error: (socket, error) => socket.data.fail(error),
  connectError: (socket, error) => socket.data.fail(error),
};

async function connect(target: Target, signal: AbortSignal): Promise<Connection> {
  const { origin, hostname, port, isTls } = target;
  const connection = new Connection(origin);
  const giveUp = () => connection.fail(new Error("aborted"));
  signal.addEventListener("abort", giveUp);
  Bun.connect({
    hostname,
    port,
    data: connection,
    socket: handlers,
    ...(isTls ? { tls: { serverName: hostname, rejectUnauthorized: true } } : {}),
  }).catch((error: unknown) =>
    connection.fail(error instanceof Error ? error : new Error("no connection")),
  );
  try {
    return await connection.opened.promise;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

function takeIdle({ origin }: Target): Connection | undefined {
  const connection = idle.get(origin)?.pop();
  connection?.socket?.ref();
  return connection;
}

function keepIdle(connection: Connection): void {
  const others = idle.get(connection.origin) ?? [];
  idle.set(connection.origin, others);
  connection.idleSince = Date.now();
  connection.socket?.resume();
  connection.socket?.unref();
  others.push(connection);
  if (others.length > mostIdlePerOrigin) others[0]?.fail(new Error("too many idle connections"));
  sweeper ??= setInterval(sweep, 1000);
  sweeper.unref();
}

let sweeper: ReturnType<typeof setInterval> | undefined;

function sweep(): void {
  const before = Date.now() - idleMs;
  for (const [origin, connections] of idle) {
    for (const connection of connections.filter(({ idleSince }) => idleSince < before)) {
      connection.fail(new Error("idle for too long"));
    }
    if (connections.length === 0) idle.delete(origin);
  }
  if (idle.size > 0) return;
  clearInterval(sweeper);
  sweeper = undefined;
}

function forgetIdle(connection: Connection): void {
  const others = idle.get(connection.origin);
  const index = others?.indexOf(connection) ?? -1;
  if (index !== -1) others?.splice(index, 1);
}
