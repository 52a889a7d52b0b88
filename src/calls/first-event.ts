import type { Sink } from "#src/http/exchange.ts";
import { Gathered } from "./gathered.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const [mostHeadBytes, lineFeed] = [8192, 0x0a];

/**
 * MCP 2024-11-05 (HTTP+SSE): the first event names the address to post to. It is the only event that has to
 * be changed, because the address is the upstream's. Everything behind it passes untouched.
 */
export function rewriteEndpoint(sink: Sink, rewrite: (endpoint: string) => string): Sink {
  let head: Gathered | undefined = new Gathered();
  return {
    chunk(bytes) {
      if (head === undefined) return sink.chunk(bytes);
      head.add(bytes);
      const size = head.view().length;
      // An event ends with a line: what trickles in is looked at once for each.
      if (size > wanted.length && size <= mostHeadBytes && !bytes.includes(lineFeed)) return;
      const text = decoder.decode(head.view());
      if (isUndecided(text)) return;
      const isEndpoint = beginsWithEndpoint(text);
      sink.chunk(isEndpoint ? encoder.encode(withEndpoint(text, rewrite)) : head.view().slice());
      head = undefined;
    },
    end() {
      if (head !== undefined && head.view().length > 0) sink.chunk(head.view().slice());
      sink.end();
    },
    fail: (error) => sink.fail(error),
  };
}

const leading = /^(:[^\n]*\r?\n|\r?\n)+/;
const wanted = "event: endpoint";

/** Whether more has to arrive: only while the first event could still be, or is, an incomplete `endpoint`. */
function isUndecided(text: string): boolean {
  if (text.length > mostHeadBytes) return false;
  const start = text.replace(leading, "");
  if (start.length < wanted.length) return wanted.startsWith(start);
  return start.startsWith(wanted) && !/\r?\n\r?\n/.test(start);
}

function beginsWithEndpoint(text: string): boolean {
  return text.replace(leading, "").startsWith(wanted);
}

function withEndpoint(text: string, rewrite: (endpoint: string) => string): string {
  return text.replace(
    /(\ndata: ?)([^\r\n]*)/,
    (_, field: string, endpoint: string) => field + rewrite(endpoint),
  );
}
