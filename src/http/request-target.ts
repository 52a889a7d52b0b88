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

/** Of headers that were sent before: the same object is the same text. */
const written = new WeakMap<Headers, string>();

/** Header lines (RFC 9112 section 5). Throws when a header holds what would end it. */
function linesOf(headers: Headers): string {
  const known = written.get(headers);
  if (known !== undefined) return known;
  let lines = "";
  for (const name in headers) {
    const value = headers[name] ?? "";
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new Error(`the header ${name} cannot be sent`);
    }
    lines += `${name}: ${value}\r\n`;
  }
  written.set(headers, lines);
  return lines;
}

/** The bytes of an HTTP/1.1 request (RFC 9112). Throws when a header holds what would end it. */
export function encodeRequest(
  { method, headers, body }: Pick<OutgoingRequest, "method" | "headers" | "body">,
  target: Target,
): Uint8Array {
  const length = body === undefined ? "" : `content-length: ${body.length}\r\n`;
  const head = `${method} ${target.path} HTTP/1.1\r\nhost: ${target.host}\r\n${linesOf(headers)}${length}\r\n`;
  const bytes = Buffer.allocUnsafe(head.length + (body?.length ?? 0));
  bytes.write(head, "latin1");
  if (body !== undefined) bytes.set(body, head.length);
  return bytes;
}
