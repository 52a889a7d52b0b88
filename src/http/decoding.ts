import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import type { Flow, Incoming, Sink } from "./exchange.ts";

const decoders = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
} as const;

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
    flow: (sink) => decode(incoming, create(), sink),
  };
}

/** The decoder's own queue holds the upstream back: it is read on only when the reader takes what came out. */
function decode(incoming: Incoming, decoder: ReturnType<typeof createGunzip>, sink: Sink): Flow {
  const flow = incoming.flow({
    chunk(bytes) {
      if (!decoder.write(bytes)) flow.pause();
    },
    end: () => void decoder.end(),
    fail: (error) => void decoder.destroy(error),
  });
  let isOver = false;
  const fail = (error: unknown) => {
    if (isOver) return;
    isOver = true;
    flow.cancel();
    decoder.destroy();
    sink.fail(error instanceof Error ? error : new Error("the body broke off"));
  };
  // What a sink throws in an event of the decoder nobody would catch: the exchange ends with it.
  const guarded = (work: () => void) => {
    try {
      if (!isOver) work();
    } catch (error) {
      fail(error);
    }
  };
  decoder.on("drain", () => flow.resume());
  decoder.on("data", (bytes: Buffer) => guarded(() => sink.chunk(new Uint8Array(bytes))));
  decoder.on("end", () => guarded(() => sink.end()));
  decoder.on("error", fail);
  decoder.pause();
  return {
    pause: () => void decoder.pause(),
    resume() {
      decoder.resume();
      flow.resume();
    },
    cancel() {
      decoder.destroy();
      flow.cancel();
    },
  };
}
