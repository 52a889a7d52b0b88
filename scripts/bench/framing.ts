/** One HTTP/1.1 message cut from the front of a buffer; `end` is where the next one begins. */
export type Message = { readonly head: string; readonly body: string; readonly end: number };

const headEndMark = Buffer.from("\r\n\r\n");
const contentLength = /\r\ncontent-length: *(\d+)/i;
const chunkedCoding = /\r\ntransfer-encoding: *chunked/i;

/**
 * Cuts the first complete message off, or gives nothing while bytes are missing. Framing is by Content-Length or
 * chunks (RFC 9112, section 6) and by nothing else: both ends belong to the bench. The body is Latin-1.
 */
export function takeMessage(buffer: Buffer): Message | undefined {
  const headEnd = buffer.indexOf(headEndMark);
  if (headEnd < 0) return undefined;
  const head = buffer.toString("latin1", 0, headEnd);
  const bodyStart = headEnd + headEndMark.length;
  const length = contentLength.exec(head);
  if (length === null && chunkedCoding.test(head)) return takeChunks(buffer, head, bodyStart);
  const end = bodyStart + Number(length?.[1] ?? 0);
  if (buffer.length < end) return undefined;
  return { head, body: buffer.toString("latin1", bodyStart, end), end };
}

function takeChunks(buffer: Buffer, head: string, bodyStart: number): Message | undefined {
  let body = "";
  let at = bodyStart;
  for (;;) {
    const lineEnd = buffer.indexOf("\r\n", at, "latin1");
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(buffer.toString("latin1", at, lineEnd), 16);
    if (!(size >= 0)) throw new Error("a chunk without a size");
    const chunkEnd = lineEnd + 2 + size;
    if (buffer.length < chunkEnd + 2) return undefined;
    body += buffer.toString("latin1", lineEnd + 2, chunkEnd);
    at = chunkEnd + 2;
    if (size === 0) return { head, body, end: at };
  }
}

/** The same POST with each bearer in turn, or with the target's own headers. */
export function requestsOf(
  url: URL,
  sending: {
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly bearers?: readonly string[];
  },
): readonly Buffer[] {
  const { headers, body, bearers } = sending;
  if (bearers === undefined) return [postRequest(url, headers, body)];
  return bearers.map((bearer) =>
    postRequest(url, { ...headers, Authorization: `Bearer ${bearer}` }, body),
  );
}

/** The bytes of one JSON POST; headers given by the target win over the usual ones. */
export function postRequest(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
): Buffer {
  const all = new Headers({
    Host: url.host,
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    ...headers,
    "Content-Length": String(Buffer.byteLength(body)),
  });
  const lines = [...all].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.from(`POST ${url.pathname}${url.search} HTTP/1.1\r\n${lines}\r\n${body}`);
}
