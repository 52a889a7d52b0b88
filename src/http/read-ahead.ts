import type { Incoming, Sink } from "./exchange.ts";

/**
 * Reads an answer until it ends, or more than `mostBytes` have come. What was read comes again when its body is opened;
 * of its head only status and type are left. Rejects with whatever the body fails with meanwhile.
 */
export async function readAhead(
  answer: Incoming,
  mostBytes: number,
): Promise<{ readonly incoming: Incoming; readonly isWhole: boolean }> {
  const { status } = answer;
  const type = answer.headers.get("content-type");
  const ahead = new Ahead(mostBytes);
  const flow = answer.flow(ahead);
  ahead.hold = () => flow.pause();
  flow.resume();
  const isWhole = await ahead.done;
  const incoming: Incoming = {
    status,
    headers: { get: (name) => (name === "content-type" ? type : null) },
    distrust: () => answer.distrust?.(),
    flow(sink) {
      let isBegun = false;
      return {
        pause: () => flow.pause(),
        cancel: () => flow.cancel(),
        resume() {
          if (!isBegun) ahead.replay(sink);
          isBegun = true;
          flow.resume();
        },
      };
    },
  };
  return { incoming, isWhole };
}

class Ahead implements Sink {
  hold: () => void = () => undefined;
  readonly #mostBytes: number;
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  readonly #done = Promise.withResolvers<boolean>();
  #size = 0;
  #sink: Sink | undefined;
  #end: "running" | "ended" | Error = "running";

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get done(): Promise<boolean> {
    return this.#done.promise;
  }

  chunk(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#sink !== undefined) return this.#sink.chunk(bytes);
    this.#parts.push(bytes);
    this.#size += bytes.length;
    if (this.#size <= this.#mostBytes) return;
    this.hold();
    this.#done.resolve(false);
  }

  end(): void {
    this.#end = "ended";
    this.#done.resolve(true);
    this.#sink?.end();
  }

  fail(error: Error): void {
    this.#end = error;
    this.#done.reject(error);
    this.#sink?.fail(error);
  }

  replay(sink: Sink): void {
    for (const part of this.#parts.splice(0)) sink.chunk(part);
    this.#sink = sink;
    if (this.#end === "ended") sink.end();
    else if (this.#end !== "running") sink.fail(this.#end);
  }
}
