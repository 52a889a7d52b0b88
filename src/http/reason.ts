import { codeOf } from "#src/failure.ts";

/** A connection that ended; the words are ours and may be shown. */
export class ConnectionEnded extends Error {}

/** An exchange that ended before its answer's head was whole, after its request had been written to the connection. */
export class LostAfterSending extends Error {
  /** Why, in words that may be shown. */
  readonly reason: string;
  /** The connection had been closed before: not a byte went out. */
  readonly isUnsent: boolean;
  /** Something of an answer had come. */
  readonly hasBegun: boolean;

  constructor(reason: string, known: { readonly isUnsent: boolean; readonly hasBegun: boolean }) {
    super(reason);
    this.name = "LostAfterSending";
    this.reason = reason;
    this.isUnsent = known.isUnsent;
    this.hasBegun = known.hasBegun;
  }
}

/** What codes of sockets, names and certificates mean, in words for a log. */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection closed",
  ENOTFOUND: "name not found",
  EAI_AGAIN: "name not found",
  ETIMEDOUT: "no connection in time",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  ConnectionRefused: "connection refused",
  ConnectionClosed: "connection closed",
};

const certificates =
  /CERT|UNABLE_TO_(?:VERIFY|GET)|ERR_TLS|HOSTNAME_MISMATCH|SELF_SIGNED|DEPTH_ZERO/;

/** Why an exchange failed, as far as that may be told: never the text of an error that is not ours. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (code !== undefined && certificates.test(code)) return `certificate not trusted (${code})`;
  if (error instanceof ConnectionEnded) return error.message;
  return (code === undefined ? undefined : words[code]) ?? code ?? "unknown";
}

/** Whether a certificate was what it failed with. */
export function isUntrusted(error: unknown): boolean {
  return reasonOf(error).startsWith("certificate not trusted");
}

const longest = 200;

/** Where a redirect leads: origin and path, bounded, without its query; parts of a path that could be a secret are not told. */
export function placeOf(location: string | null | undefined, from: string): string {
  const isReadable = typeof location === "string" && URL.canParse(location, from);
  const { protocol, origin, pathname } = new URL(isReadable ? location : from, from);
  if (!isReadable || !/^https?:$/.test(protocol)) return "no address";
  const told = pathname
    .split("/")
    .map((part) => (/^[a-z._-]{0,24}\d{0,3}$/i.test(part) ? part : "…"));
  return `${origin}${told.join("/")}`.slice(0, longest);
}

/** Nobody is believed who asks for more. */
const longestSeconds = 3600;

/**
 * Seconds that a `Retry-After` header asks for, as a number or a date (RFC 9110 section 10.2.3); an hour at most.
 * Undefined when there is none, or none that can be read.
 */
export function readRetryAfter(value: string | null | undefined, now: Date): number | undefined {
  const text = value?.trim() ?? "";
  const isNumber = /^\d{1,15}$/.test(text);
  // Date.parse also takes "1 2 3" and the like: a date of HTTP begins with its day. It is of GMT, also without the word.
  const isDate = /^[A-Za-z]{3,9},? .{10,40}$/.test(text);
  const seconds = isNumber
    ? Number(text)
    : isDate
      ? (Date.parse(text.endsWith("GMT") ? text : `${text} GMT`) - now.getTime()) / 1000
      : Number.NaN;
  if (Number.isNaN(seconds)) return undefined;
  return Math.min(Math.max(Math.ceil(seconds), 0), longestSeconds);
}
