import {
  type Gunzip,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
} from "node:zlib";
import type { Flow, Incoming, Sink } from "./exchange.ts";

type Decoder = Pick<Gunzip, "write" | "end" | "destroy" | "pause" | "resume"> & NodeJS.EventEmitter;

const decoders = {
  gzip: () => createGunzip(),
  "x-gzip": () => createGunzip(),
  deflate: (first: Uint8Array) => (isZlib(first) ? createInflate() : createInflateRaw()),
  br: () => createBrotliDecompress(),
} satisfies Record<string, (first: Uint8Array) => Decoder>;

/** RFC 1950 section 2.2. Some servers call it deflate without this frame (RFC 9110 section 8.4.1.2). */
function isZlib([method = 0, flags]: Uint8Array): boolean {
  const isDeflate = (method & 0x0f) === 8 && method >> 4 <= 7;
  return isDeflate && (flags === undefined || ((method << 8) | flags) % 31 === 0);
}

/**
 * The answer with its body decoded. Asked for plain bytes, some servers compress all the same.
 * Undefined when the coding is one that we do not know.
 */
export function decoded(incoming: Incoming): Incoming | undefined {
  const coding = incoming.headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (coding === "identity") return incoming;
  if (!Object.hasOwn(decoders, coding)) return undefined;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- hasOwn has just said so
  const create = decoders[coding as keyof typeof decoders];
  const hidden = new Set(["content-encoding", "content-length"]);
  return {
    status: incoming.status,
    headers: { get: (name) => (hidden.has(name) ? null : incoming.headers.get(name)) },
    distrust: () => incoming.distrust?.(),
    flow: (sink) => decode(incoming, create, sink),
  };
}

/**
 * The decoder's own queue holds the upstream back: it is read on only when the reader takes what came out. There is one
 * when the first bytes have come.
 */
function decode(incoming: Incoming, create: (first: Uint8Array) => Decoder, sink: Sink): Flow {
  let decoder: Decoder | undefined;
  const state = { isOver: false, isPaused: true, isFull: false };
  const flow = incoming.flow({
    chunk(bytes) {
      decoder ??= begin(bytes);
      state.isFull = !decoder.write(bytes);
      if (state.isFull) flow.pause();
    },
    end() {
      if (decoder === undefined) guarded(() => sink.end());
      else decoder.end();
    },
    fail(error) {
      if (decoder === undefined) fail(error);
      else decoder.destroy(error);
    },
  });
  const fail = (error: unknown) => {
    if (state.isOver) return;
    state.isOver = true;
    flow.cancel();
    decoder?.destroy();
    sink.fail(error instanceof Error ? error : new Error("the body broke off"));
  };
  // What a sink throws in an event of the decoder nobody would catch: the exchange ends with it.
  const guarded = (work: () => void) => {
    try {
      if (!state.isOver) work();
    } catch (error) {
      fail(error);
    }
  };
  const begin = (first: Uint8Array) => {
    const made = create(first);
    made.on("drain", () => {
      state.isFull = false;
      flow.resume();
    });
    made.on("data", (bytes: Buffer) => guarded(() => sink.chunk(new Uint8Array(bytes))));
    made.on("end", () => guarded(() => sink.end()));
    made.on("error", fail);
    if (state.isPaused) made.pause();
    return made;
  };
  return {
    pause() {
      state.isPaused = true;
      decoder?.pause();
    },
    resume() {
      state.isPaused = false;
      decoder?.resume();
      // One that has enough to do says when it wants more.
      if (!state.isFull) flow.resume();
    },
    cancel() {
      decoder?.destroy();
      flow.cancel();
    },
  };
}
