import type { Sink } from "#src/http/exchange.ts";
import { EventCutter, type Piece } from "./event-cutter.ts";
import { fieldsOf, withData } from "./event-fields.ts";
import { Gathered } from "./gathered.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
/** An event that is longer names no address; nor does one that comes after so many others. */
const [mostHeldBytes, mostEvents] = [8192, 16];

/**
 * MCP 2024-11-05 (HTTP+SSE): an event `endpoint` near the beginning names the address to post to. It is the only event
 * that has to be changed, because the address is the upstream's. Until it has come, an event passes when it is
 * whole; everything behind it passes untouched.
 */
export function rewriteEndpoint(sink: Sink, rewrite: (endpoint: string) => string): Sink {
  const cutter = new EventCutter();
  const held = new Gathered();
  let isTooLong = false;
  let left = mostEvents;
  const pass = (bytes: Uint8Array<ArrayBuffer>) => {
    if (bytes.length > 0) sink.chunk(bytes);
  };
  const release = () => {
    pass(held.view().slice());
    held.clear();
  };
  /** A piece of an event that may be the one. */
  const hold = ({ bytes, isEnd }: Piece) => {
    if (isTooLong) pass(bytes);
    else held.add(bytes);
    isTooLong ||= held.length > mostHeldBytes;
    if (isTooLong) release();
    if (!isEnd) return;
    const event = decoder.decode(held.view());
    const { type, data } = fieldsOf(event);
    if (type === "endpoint" && data !== undefined) {
      held.clear();
      left = 0;
      pass(encoder.encode(withData(event, rewrite(data))));
      return;
    }
    release();
    isTooLong = false;
    if (data !== undefined) left -= 1;
  };
  return {
    chunk(bytes) {
      if (left === 0) return sink.chunk(bytes);
      for (const piece of cutter.cut(bytes)) {
        if (left === 0) pass(piece.bytes);
        else hold(piece);
      }
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
 * Without the byte order mark that a stream may begin with (HTML, section 9.2.5): what stands before it here would
 * make it a part of the first line.
 */
export function withoutByteOrderMark(sink: Sink): Sink {
  let seen = 0;
  const release = () => {
    const rest = Uint8Array.from(byteOrderMark.slice(0, seen));
    seen = byteOrderMark.length;
    if (rest.length > 0 && rest.length < byteOrderMark.length) sink.chunk(rest);
  };
  return {
    chunk(bytes) {
      let at = 0;
      while (seen < byteOrderMark.length && at < bytes.length) {
        if (bytes[at] !== byteOrderMark[seen]) {
          release();
          break;
        }
        at += 1;
        seen += 1;
      }
      if (at < bytes.length) sink.chunk(at === 0 ? bytes : bytes.subarray(at));
    },
    end() {
      release();
      sink.end();
    },
    fail: (error) => sink.fail(error),
  };
}
