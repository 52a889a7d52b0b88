import { Failure } from "#src/failure.ts";
import type { Sink } from "#src/http/exchange.ts";
import { type Piece, SseSplitter, fieldsOf, withData, ByteBuffer } from "./sse.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
/** An event that is longer names no address. */
const mostHeldBytes = 8192;
const namesItself = /(?:^|[\r\n])event: ?endpoint/;
/** So much of what has passed as could be the beginning of such a line. */
const seamBytes = 16;

/**
 * MCP 2024-11-05 (HTTP+SSE): an event `endpoint` names the address to post to. It is the only event that has to be
 * changed, because the address is the upstream's. An event passes when it is whole, or too long to be such a one.
 * Throws `upstream_invalid` for one that is both, and what `rewrite` throws.
 */
export function rewriteEndpoint(sink: Sink, rewrite: (endpoint: string) => string): Sink {
  const splitter = new SseSplitter();
  const held = new ByteBuffer();
  /** The last of an event that is too long. */
  let seam: string | undefined;
  const pass = (bytes: Uint8Array<ArrayBuffer>) => {
    if (bytes.length > 0) sink.chunk(bytes);
  };
  const release = () => {
    pass(held.view().slice());
    held.clear();
  };
  const passLong = (bytes: Uint8Array<ArrayBuffer>) => {
    const text = (seam ?? "") + Buffer.from(bytes).toString("latin1");
    if (namesItself.test(text)) {
      const reason = "its message endpoint is longer than 8 KiB";
      throw new Failure("upstream_invalid", undefined, { reason });
    }
    seam = text.slice(-seamBytes);
    pass(bytes);
  };
  const passWhole = () => {
    const event = decoder.decode(held.view());
    const { type, data } = fieldsOf(event);
    if (type !== "endpoint" || data === undefined) return release();
    held.clear();
    pass(encoder.encode(withData(event, rewrite(data))));
  };
  const take = ({ bytes, isEnd }: Piece) => {
    if (seam === undefined) held.add(bytes);
    else passLong(bytes);
    if (held.length > mostHeldBytes) {
      passLong(held.view().slice());
      held.clear();
    }
    if (!isEnd) return;
    if (seam === undefined) passWhole();
    seam = undefined;
  };
  return {
    chunk(bytes) {
      for (const piece of splitter.cut(bytes)) take(piece);
    },
    end() {
      release();
      sink.end();
    },
    fail: (error) => sink.fail(error),
  };
}

const byteOrderMark = [0xef, 0xbb, 0xbf];

/**
 * Takes away the byte order mark that a stream may begin with (HTML, section 9.2.5): what stands before it here would
 * make it a part of the first line.
 */
export class ByteOrderMarkFilter implements Sink {
  readonly #sink: Sink;
  #seen = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  chunk(bytes: Uint8Array<ArrayBuffer>): void {
    let at = 0;
    while (this.#seen < byteOrderMark.length && at < bytes.length) {
      if (bytes[at] !== byteOrderMark[this.#seen]) {
        this.#release();
        break;
      }
      at += 1;
      this.#seen += 1;
    }
    if (at < bytes.length) this.#sink.chunk(at === 0 ? bytes : bytes.subarray(at));
  }

  end(): void {
    this.#release();
    this.#sink.end();
  }

  fail(error: Error): void {
    this.#sink.fail(error);
  }

  /** It was none: what looked like its beginning passes. */
  #release(): void {
    const rest = Uint8Array.from(byteOrderMark.slice(0, this.#seen));
    this.#seen = byteOrderMark.length;
    if (rest.length > 0 && rest.length < byteOrderMark.length) this.#sink.chunk(rest);
  }
}
