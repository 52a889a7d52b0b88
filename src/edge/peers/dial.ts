import { hash } from "node:crypto";
import { once } from "node:events";
import { type Socket, connect as connectPlain, isIP } from "node:net";
import { type TLSSocket, connect as connectTls } from "node:tls";
import { Failure, codeOf } from "#src/failure.ts";
import { ResponseBroken } from "#src/http/http1.ts";
import { AnswerUnusable, answerOn } from "#src/http/socket-answer.ts";
import { within } from "#src/clock.ts";
import { type Address, addressText, reachable } from "./address.ts";

/** Where a connection has led. */
export type Line = {
  /** IP address at the other end. */
  readonly ip: string;
  /** SHA-256 in hex of the certificate that was shown; undefined over http. */
  readonly certificate: string | undefined;
  /** Authorities vouch for the host name. */
  readonly isVouchedFor: boolean;
};

/** What a node answers, and over which connection. */
export type DialAnswer = { readonly status: number; readonly text: string; readonly line: Line };

type DialOptions = {
  readonly path: string;
  readonly body: object;
  /** The operator has named the address: it may lead anywhere. */
  readonly isTyped: boolean;
  /** Looks where the connection leads before a byte is sent; throws what is wrong about it. */
  readonly check?: (line: Line) => void;
};

const limitMs = 5000;
const mostBytes = 32 * 1024;

/**
 * POSTs JSON to an address of a node, on a connection of its own; five seconds in all.
 * Failures: `peer_unreachable`, `peer_insecure`, and whatever `check` throws.
 */
export async function dial(address: Address, asked: DialOptions): Promise<DialAnswer> {
  const ended = new AbortController();
  const unreachable = (why: string) =>
    new Failure(
      "peer_unreachable",
      `The node cannot be reached at ${addressText(address)} (${why})`,
    );
  const late = () => unreachable("no answer in five seconds");
  try {
    return await within(limitMs, exchange(address, asked, ended.signal), late);
  } catch (error) {
    throw error instanceof Failure ? error : unreachable(reasonOf(error));
  } finally {
    ended.abort();
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof ResponseBroken) return "it does not speak HTTP there; is it https?";
  return codeOf(error) ?? (error instanceof AnswerUnusable ? error.message : "broke off");
}

async function exchange(
  address: Address,
  asked: DialOptions,
  ended: AbortSignal,
): Promise<DialAnswer> {
  const host = await reachable(address, asked.isTyped);
  if (ended.aborted) throw new Failure("peer_unreachable");
  const url = new URL(asked.path, address.origin);
  const socket = open(url, host);
  ended.addEventListener("abort", () => socket.destroy());
  // Errors of a socket that nobody waits for any more.
  socket.on("error", () => undefined);
  await once(socket, url.protocol === "https:" ? "secureConnect" : "connect");
  const line = lineOf(socket);
  asked.check?.(line);
  const answer = answerOn(socket, { method: "POST", mostBytes });
  socket.write(requestFor(url, JSON.stringify(asked.body)));
  const { status, text } = await answer;
  return { status, text, line };
}

function open(url: URL, ip: string | undefined): Socket {
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const isTls = url.protocol === "https:";
  const place = { host: ip ?? hostname, port: Number(url.port) || (isTls ? 443 : 80) };
  if (!isTls) return connectPlain(place);
  // A name of an IP address is no server name (RFC 6066 section 3).
  const name = isIP(hostname) === 0 ? { servername: hostname } : {};
  return connectTls({ ...place, ...name, rejectUnauthorized: false });
}

function lineOf(socket: Socket): Line {
  const ip = socket.remoteAddress ?? "";
  if (!("getPeerCertificate" in socket)) {
    return { ip, certificate: undefined, isVouchedFor: false };
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what has that method is one
  const tls = socket as TLSSocket;
  const { raw } = tls.getPeerCertificate();
  return { ip, certificate: hash("sha256", raw), isVouchedFor: tls.authorized };
}

function requestFor(url: URL, body: string): string {
  const lines = [
    `POST ${url.pathname} HTTP/1.1`,
    `Host: ${url.host}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Accept: application/json",
    "Accept-Encoding: identity",
    "User-Agent: smartdash",
    "Connection: close",
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}
