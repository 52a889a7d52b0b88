import type { Socket } from "node:net";
import { type Head, ResponseParser } from "./http1.ts";

/** An answer on a connection that is for this one request, read whole. */
export type SocketAnswer = {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
};

export class AnswerUnusable extends Error {
  override readonly name = "AnswerUnusable";
}

/** Rejects with `AnswerUnusable` when it is too large or breaks off, and with what the socket or the parser says. */
export function answerOn(
  socket: Socket,
  { method, mostBytes }: { readonly method: string; readonly mostBytes: number },
): Promise<SocketAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<SocketAnswer>();
  const parts: Uint8Array[] = [];
  let size = 0;
  let head: Head | undefined;
  const parser = new ResponseParser(method, {
    head: (given) => {
      head = given;
    },
    chunk: (bytes) => {
      size += bytes.length;
      if (size > mostBytes) return reject(new AnswerUnusable("too large"));
      parts.push(bytes);
    },
    end: () => {
      const text = Buffer.concat(parts).toString("utf8");
      if (head !== undefined) resolve({ status: head.status, headers: head.headers, text });
    },
  });
  const attempt = (work: () => void) => {
    try {
      work();
    } catch (error) {
      reject(error);
    }
  };
  socket.on("data", (data: Uint8Array) => attempt(() => parser.push(new Uint8Array(data))));
  socket.once("error", reject);
  socket.once("close", () => {
    attempt(() => parser.close());
    reject(new AnswerUnusable("broke off"));
  });
  return promise;
}
