/**
 * MCP 2024-11-05 (HTTP+SSE): the first event names the address to post to. It is the only event that has to
 * be changed, because the address is the upstream's.
 */
export function rewriteEndpoint(
  body: ReadableStream<Uint8Array>,
  rewrite: (endpoint: string) => string,
): ReadableStream<Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let head: string | undefined = "";
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        if (head === undefined) return controller.enqueue(chunk);
        head += decoder.decode(chunk, { stream: true });
        if (isUndecided(head)) return;
        controller.enqueue(encoder.encode(withEndpoint(head, rewrite)));
        head = undefined;
      },
      flush(controller) {
        if (head !== undefined && head !== "") controller.enqueue(encoder.encode(head));
      },
    }),
  );
}

const mostHeadCharacters = 8192;

/** Whether more has to arrive: only while the first event could still be, or is, an incomplete `endpoint`. */
function isUndecided(head: string): boolean {
  if (head.length > mostHeadCharacters) return false;
  const start = head.replace(/^(:[^\n]*\r?\n|\r?\n)+/, "");
  const wanted = "event: endpoint";
  if (start.length < wanted.length) return wanted.startsWith(start);
  return start.startsWith(wanted) && !/\r?\n\r?\n/.test(start);
}

function withEndpoint(head: string, rewrite: (endpoint: string) => string): string {
  if (!/(^|\n)event: endpoint\r?\n/.test(head)) return head;
  return head.replace(
    /(\ndata: ?)([^\r\n]*)/,
    (_, field: string, endpoint: string) => field + rewrite(endpoint),
  );
}
