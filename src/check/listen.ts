/** What came of an event stream. Milliseconds since it was asked for. */
export type Heard = {
  readonly firstByteMs: number;
  readonly eventsAt: readonly number[];
  /** Comments while it was quiet. */
  readonly comments: number;
  /** Its last event came. */
  readonly isWhole: boolean;
  readonly lastedMs: number;
  readonly encoding: string | null;
};

const allEvents = 6;
const beyondMs = 10_000;

/** Reads a stream of a probe to its end; a text when there was none. */
export async function listen(
  open: () => Promise<Response>,
  silentMs: number,
): Promise<Heard | string> {
  const startedAt = performance.now();
  const ear = new Ear(() => performance.now() - startedAt);
  const limit = setTimeout(() => ear.leave(), silentMs + beyondMs);
  try {
    const answer = await open();
    if (answer.status !== 200 || answer.body === null) return `HTTP ${answer.status}`;
    ear.encoding = answer.headers.get("content-encoding");
    await ear.hear(answer.body);
  } catch {
    if (ear.firstByteMs === 0) return "it broke off";
  } finally {
    clearTimeout(limit);
  }
  return ear.heard();
}

class Ear {
  encoding: string | null = null;
  firstByteMs = 0;
  readonly #eventsAt: number[] = [];
  #comments = 0;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #since: () => number;

  constructor(since: () => number) {
    this.#since = since;
  }

  leave(): void {
    void this.#reader?.cancel();
  }

  async hear(body: ReadableStream<Uint8Array>): Promise<void> {
    this.#reader = body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      this.#take(decoder.decode(value, { stream: true }));
    }
  }

  heard(): Heard {
    const { encoding, firstByteMs } = this;
    return {
      encoding,
      firstByteMs,
      eventsAt: this.#eventsAt,
      comments: this.#comments,
      isWhole: this.#eventsAt.length === allEvents,
      lastedMs: this.#since(),
    };
  }

  #take(text: string): void {
    if (this.firstByteMs === 0) this.firstByteMs = this.#since();
    for (const _ of text.matchAll(/^data: /gm)) this.#eventsAt.push(this.#since());
    this.#comments += text.match(/^: keepalive/gm)?.length ?? 0;
  }
}
