import type { Sink } from "#src/http/exchange.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const mostHeadCharacters = 8192;

/**
 * MCP 2024-11-05 (HTTP+SSE): the first event names the address to post to. It is the only event that has to
 * be changed, because the address is the upstream's. Everything behind it passes untouched.
 */
export function rewriteEndpoint(sink: Sink, rewrite: (endpoint: string) => string): Sink {
  let head: Uint8Array<ArrayBuffer> | undefined = new Uint8Array();
  return {
    chunk(bytes) {
      if (head === undefined) return sink.chunk(bytes);
      head = Uint8Array.from([...head, ...bytes]);
      const text = decoder.decode(head);
      if (isUndecided(text)) return;
      const isEndpoint = beginsWithEndpoint(text);
      sink.chunk(isEndpoint ? encoder.encode(withEndpoint(text, rewrite)) : head);
      head = undefined;
    },
    end() {
      if (head !== undefined && head.length > 0) sink.chunk(head);
      sink.end();
    },
    fail: (error) => sink.fail(error),
  };
}

const leading = /^(:[^\n]*\r?\n|\r?\n)+/;
const wanted = "event: endpoint";

/** Whether more has to arrive: only while the first event could still be, or is, an incomplete `endpoint`. */
function isUndecided(text: string): boolean {
  if (text.length > mostHeadCharacters) return false;
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
