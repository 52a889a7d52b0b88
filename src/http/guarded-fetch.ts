import { lookup } from "node:dns/promises";
import { type Socket, connect as connectPlain } from "node:net";
import { connect as connectTls } from "node:tls";
import { codeOf } from "#src/failure.ts";
import { within } from "#src/clock.ts";
import { type SocketAnswer, AnswerUnusable, answerOn } from "./socket-answer.ts";
import { isLoopbackAddress, isPublicAddress } from "./address.ts";

export type GuardedAnswer = SocketAnswer;

/**
 * GETs an address that a stranger named. Every address the name resolves to is checked, and the connection
 * goes to a checked one: a name that resolves differently a moment later changes nothing.
 * https alone, no redirects, no compression, bounded in bytes, time and number at once.
 * Rejects with `FetchRefused`, whose text is always the same.
 */
export type GuardedFetch = (url: string, mostBytes: number) => Promise<GuardedAnswer>;

export class FetchRefused extends Error {
  /** For our own log; never for whoever named the address. */
  readonly reason: string;

  constructor(reason: string) {
    super("the address cannot be used");
    this.name = "FetchRefused";
    this.reason = reason;
  }
}

type GuardedFetchOptions = {
  /** For development on loopback: its addresses may be fetched, there also over http. */
  readonly allowsLoopback: boolean;
  readonly limitMs?: number;
  readonly resolve?: (hostname: string) => Promise<readonly string[]>;
};

const mostAtOnce = 16;
const usualLimitMs = 5000;

export function createGuardedFetch(options: GuardedFetchOptions): GuardedFetch {
  let running = 0;
  return async (text, mostBytes) => {
    if (running >= mostAtOnce) throw new FetchRefused("too many at once");
    running += 1;
    const ending = new AbortController();
    const late = () => new FetchRefused("timeout");
    try {
      const work = get(options, new URL(text), { mostBytes, ended: ending.signal });
      return await within(options.limitMs ?? usualLimitMs, work, late);
    } catch (error) {
      throw error instanceof FetchRefused ? error : new FetchRefused(reasonOf(error));
    } finally {
      running -= 1;
      ending.abort();
    }
  };
}

function reasonOf(error: unknown): string {
  return error instanceof AnswerUnusable ? error.message : (codeOf(error) ?? "broken");
}

type Limits = {
  readonly mostBytes: number;
  /** Nobody waits any more: nothing is opened, what is open is closed. */
  readonly ended: AbortSignal;
};

async function get(options: GuardedFetchOptions, url: URL, limits: Limits): Promise<GuardedAnswer> {
  const isPlain = url.protocol === "http:" && options.allowsLoopback;
  if (url.protocol !== "https:" && !isPlain) throw new FetchRefused("not https");
  const host = await checkedAddress(options, url);
  if (isPlain && !isLoopbackAddress(host)) throw new FetchRefused("not https");
  // A name may take longer to resolve than anybody waits.
  if (limits.ended.aborted) throw new FetchRefused("timeout");
  const socket = connectTo(host, url);
  limits.ended.addEventListener("abort", () => socket.destroy());
  socket.once(isPlain ? "connect" : "secureConnect", () => void socket.write(requestFor(url)));
  return await answerOn(socket, { method: "GET", mostBytes: limits.mostBytes });
}

function connectTo(host: string, { protocol, port, hostname }: URL): Socket {
  if (protocol === "http:") return connectPlain({ host, port: Number(port || 80) });
  const servername = hostname;
  return connectTls({ host, port: Number(port || 443), servername, rejectUnauthorized: true });
}

/** One of the addresses behind the name, when all of them may be used. */
async function checkedAddress(options: GuardedFetchOptions, url: URL): Promise<string> {
  const { allowsLoopback, resolve = addressesOf } = options;
  const addresses = await resolve(url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, ""));
  const isUsable = (address: string) =>
    isPublicAddress(address) || (allowsLoopback && isLoopbackAddress(address));
  const [first] = addresses;
  if (first !== undefined && addresses.every(isUsable)) return first;
  throw new FetchRefused("not a public address");
}

async function addressesOf(hostname: string): Promise<readonly string[]> {
  const found = await lookup(hostname, { all: true });
  return found.map(({ address }) => address);
}

function requestFor(url: URL): string {
  const lines = [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    "Accept: application/json",
    "Accept-Encoding: identity",
    "User-Agent: smartdash",
    "Connection: close",
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}
