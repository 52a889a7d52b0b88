import type { OutgoingRequest } from "./exchange.ts";

/** Where a URL leads. */
export type Target = {
  readonly origin: string;
  readonly hostname: string;
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly path: string;
};

/** Upstreams are few and their URLs the same for every call; message endpoints of 2024-11-05 are not. */
const targets = new Map<string, Target>();
const mostTargets = 200;

/** Throws when `text` is not an absolute URL. */
export function targetOf(text: string): Target {
  const known = targets.get(text);
  if (known !== undefined) return known;
  const { origin, hostname, host, port, protocol, pathname, search } = new URL(text);
  const isTls = protocol === "https:";
  const target = {
    origin,
    hostname: hostname.replace(/^\[|\]$/g, ""),
    host,
    port: Number(port) || (isTls ? 443 : 80),
    isTls,
    path: pathname + search,
  };
  if (targets.size >= mostTargets) targets.clear();
  targets.set(text, target);
  return target;
}

type Headers = OutgoingRequest["headers"];

type Start = { readonly method: string; readonly target: Target; readonly bytes: Buffer };
/** Of headers that were sent before: the same object is the same text. */
const written = new WeakMap<Headers, Start>();

/** The request line and the header lines (RFC 9112 sections 3 and 5). Throws when a header holds what would end it. */
function startOf({ method, headers }: Pick<OutgoingRequest, "method" | "headers">, target: Target) {
  const known = written.get(headers);
  if (known?.method === method && known.target === target) return known.bytes;
  let lines = `${method} ${target.path} HTTP/1.1\r\nhost: ${target.host}\r\n`;
  for (const name in headers) {
    const value = headers[name] ?? "";
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new Error(`the header ${name} cannot be sent`);
    }
    lines += `${name}: ${value}\r\n`;
  }
  const bytes = Buffer.from(lines, "latin1");
  written.set(headers, { method, target, bytes });
  return bytes;
}

/** By the length of the body: most are as long as one before. */
const ends = new Map<number | undefined, Buffer>();
const mostEnds = 1000;

/** What says how long the body is, and the empty line. */
function endOf(length: number | undefined): Buffer {
  const known = ends.get(length);
  if (known !== undefined) return known;
  const framing = length === undefined ? "" : `content-length: ${length}\r\n`;
  const bytes = Buffer.from(`${framing}\r\n`, "latin1");
  if (ends.size >= mostEnds) ends.clear();
  ends.set(length, bytes);
  return bytes;
}

/** The bytes of an HTTP/1.1 request (RFC 9112). Throws when a header holds what would end it. */
export function encodeRequest(
  { method, headers, body }: Pick<OutgoingRequest, "method" | "headers" | "body">,
  target: Target,
): Uint8Array {
  const start = startOf({ method, headers }, target);
  const end = endOf(body?.length);
  const bytes = Buffer.allocUnsafe(start.length + end.length + (body?.length ?? 0));
  bytes.set(start);
  bytes.set(end, start.length);
  if (body !== undefined) bytes.set(body, start.length + end.length);
  return bytes;
}
