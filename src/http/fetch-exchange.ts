import { Failure, codeOf } from "#src/failure.ts";
import type { Exchange, Flow, Incoming, Sink } from "./exchange.ts";
import { LostAfterSending, reasonOf } from "./reason.ts";
import { gather } from "./body.ts";

const noPins =
  "Other nodes are called from Bun alone, and not through an HTTP proxy: elsewhere their connection cannot be pinned";

const lost = new Set(["ECONNRESET", "EPIPE", "ConnectionClosed", "UND_ERR_SOCKET"]);

/** Exchanges through `fetch`: for Deno, and wherever an HTTP proxy makes the connections. */
export const fetchExchange: Exchange = async ({ url, ...request }): Promise<Incoming> => {
  // What cannot be checked here must not be taken for checked.
  if (request.pin !== undefined) throw new Failure("peer_unreachable", noPins);
  const abort = new AbortController();
  request.cancel.stops({ stop: () => abort.abort() });
  const init: RequestInit & { timeout: false } = {
    method: request.method,
    headers: request.headers,
    signal: abort.signal,
    redirect: "manual",
    // Bun's own: its fetch otherwise ends a silent stream after six minutes.
    timeout: false,
    ...(request.body === undefined ? {} : { body: request.body }),
  };
  try {
    return incomingFrom(await fetch(url, init));
  } catch (error) {
    // It does not tell whether the request had gone out when its connection ended.
    const isLost = lost.has(codeOf(error) ?? "");
    const known = { isUnsent: false, hasBegun: false };
    throw isLost ? new LostAfterSending(reasonOf(error), known) : error;
  }
};

/** A fetch answer as one of an upstream. */
export function incomingFrom(response: Response): Incoming {
  // What fetch has decoded already is neither encoded nor of that length any more.
  const isDecoded = response.headers.has("content-encoding");
  const hidden = isDecoded ? new Set(["content-encoding", "content-length"]) : new Set<string>();
  return {
    status: response.status,
    headers: { get: (name) => (hidden.has(name) ? null : response.headers.get(name)) },
    flow: (sink) => flowOf(response.body?.getReader(), sink),
  };
}

type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

function flowOf(reader: Reader | undefined, sink: Sink): Flow {
  const state = { isPaused: true, isReading: false, isOver: false };

  async function run(): Promise<void> {
    state.isReading = true;
    try {
      while (!state.isPaused && !state.isOver) await step();
    } catch (error) {
      if (!state.isOver)
        sink.fail(error instanceof Error ? error : new Error("the body broke off"));
      state.isOver = true;
    }
    state.isReading = false;
  }

  async function step(): Promise<void> {
    const read = await reader?.read();
    if (state.isOver) return;
    if (read?.value !== undefined) sink.chunk(read.value);
    if (read?.done === false) return;
    state.isOver = true;
    sink.end();
  }

  return {
    pause: () => void (state.isPaused = true),
    resume() {
      state.isPaused = false;
      if (!state.isReading && !state.isOver) void run();
    },
    cancel() {
      state.isOver = true;
      void reader?.cancel().catch(() => undefined);
    },
  };
}

/** An answer from outside, read whole and bounded. */
export type OutsideAnswer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
};

type OutboundRequest = {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
};

/**
 * The way to providers: http(s) only, a time limit, redirects never followed, answers of 256 KiB at most.
 * Rejects with `OutsideTrouble` when there is no complete answer.
 */
export type Outbound = (url: string, request: OutboundRequest) => Promise<OutsideAnswer>;

export class OutsideTrouble extends Error {
  readonly reason: "timeout" | "unreachable" | "too_large";

  constructor(reason: OutsideTrouble["reason"]) {
    super(`no usable answer: ${reason}`);
    this.name = "OutsideTrouble";
    this.reason = reason;
  }
}

const mostBytes = 256 * 1024;

/** @param options What the runtime's own fetch is given besides. */
export function createOutbound(timeoutMs: number, options: object = {}): Outbound {
  return async (url, request) => {
    if (!/^https?:\/\//.test(url)) throw new OutsideTrouble("unreachable");
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const init: RequestInit & { proxy?: false } = {
        ...options,
        ...request,
        redirect: "manual",
        signal,
      };
      // Bun's own: what runs on this machine is not for a proxy.
      if (isLoopback(url)) init.proxy = false;
      const response = await fetch(url, init);
      const tooLarge = () => new OutsideTrouble("too_large");
      const bytes = await gather(response.body, mostBytes, tooLarge);
      const text = Buffer.from(bytes).toString("utf8");
      return { status: response.status, headers: response.headers, text };
    } catch (error) {
      if (error instanceof OutsideTrouble) throw error;
      throw new OutsideTrouble(signal.aborted ? "timeout" : "unreachable");
    }
  };
}

function isLoopback(url: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);
}
