import { hash } from "node:crypto";
import { type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { TLSSocket } from "node:tls";
import { Failure } from "#src/failure.ts";
import { type Address, reachable } from "./address.ts";

/** What a node answers, and what is known about the connection that it came over. */
export type DialAnswer = {
  readonly status: number;
  readonly text: string;
  /** SHA-256 in hex of the certificate that was shown; undefined over http. */
  readonly certificate: string | undefined;
  /** Authorities vouch for the host name. */
  readonly isVouchedFor: boolean;
};

const limitMs = 5000;
const mostBytes = 32 * 1024;

/**
 * POSTs JSON to an address of a node. The certificate is not judged here: whoever asks compares it with what
 * the node has signed. Failures: `peer_unreachable`, `peer_insecure`.
 */
export async function dial(
  address: Address,
  asked: { readonly path: string; readonly body: object; readonly isTyped: boolean },
): Promise<DialAnswer> {
  const host = await reachable(address, asked.isTyped);
  const url = new URL(asked.path, address.origin);
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const text = JSON.stringify(asked.body);
  const signal = AbortSignal.timeout(limitMs);
  const options = {
    method: "POST",
    host: host ?? hostname,
    port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port),
    path: url.pathname,
    headers: {
      host: url.host,
      "content-type": "application/json",
      accept: "application/json",
      "content-length": Buffer.byteLength(text),
    },
    agent: false as const,
    signal,
  };
  try {
    return await new Promise<DialAnswer>((resolve, reject) => {
      const hear = (answer: IncomingMessage) => void read(answer).then(resolve, reject);
      const request =
        url.protocol === "https:"
          ? requestTls({ ...options, servername: hostname, rejectUnauthorized: false }, hear)
          : requestPlain(options, hear);
      signal.addEventListener("abort", () => reject(new Error("late")));
      request.once("error", reject);
      request.end(text);
    });
  } catch (error) {
    throw error instanceof Failure ? error : new Failure("peer_unreachable");
  }
}

async function read(answer: IncomingMessage): Promise<DialAnswer> {
  const { socket } = answer;
  const shown =
    socket instanceof TLSSocket || "getPeerCertificate" in socket
      ? certificateOf(socket)
      : undefined;
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer as AsyncIterable<Uint8Array>) {
    size += part.length;
    if (size > mostBytes) {
      answer.destroy();
      throw new Error("too much");
    }
    parts.push(part);
  }
  return {
    status: answer.statusCode ?? 0,
    text: Buffer.concat(parts).toString("utf8"),
    certificate: shown?.certificate,
    isVouchedFor: shown?.isVouchedFor ?? false,
  };
}

function certificateOf(socket: object) {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Bun's TLS sockets are no instances of the class
  const tls = socket as Pick<TLSSocket, "getPeerCertificate" | "authorized">;
  const { raw } = tls.getPeerCertificate();
  return { certificate: hash("sha256", raw), isVouchedFor: tls.authorized };
}
