import type { Connection, Stream } from "@libp2p/interface";
import { within } from "#src/clock.ts";
import type { CapabilityDocument } from "../capabilities.ts";

/** What nodes of ours say to each other over libp2p: the one that is asked sends its capability document, its length in four bytes before it. */
export const documentProtocol = "/edge-hive/node/1.0.0";

const limitMs = 5000;
const mostBytes = 16 * 1024;
const lengthBytes = 4;

export async function sendDocument(stream: Stream, document: CapabilityDocument): Promise<void> {
  const text = Buffer.from(JSON.stringify(document));
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32BE(text.length);
  stream.send(Buffer.concat([length, text]));
  await stream.close({ signal: AbortSignal.timeout(limitMs) });
}

/** The document of the node at the other end. Rejects when it is too long or late. */
export async function askDocument(connection: Connection): Promise<string> {
  const signal = AbortSignal.timeout(limitMs);
  const stream = await connection.newStream(documentProtocol, { signal });
  try {
    return await within(limitMs, whole(stream), () => new Error("late"));
  } finally {
    stream.abort(new Error("done"));
  }
}

/** Reads as far as was announced: the end of a stream is not always told. */
async function whole(stream: Stream): Promise<string> {
  let bytes = Buffer.alloc(0);
  for await (const part of stream) {
    bytes = Buffer.concat([bytes, part.subarray()]);
    if (bytes.length < lengthBytes) continue;
    const end = lengthBytes + bytes.readUInt32BE();
    if (end > lengthBytes + mostBytes) throw new Error("too long");
    if (bytes.length >= end) return bytes.toString("utf8", lengthBytes, end);
  }
  throw new Error("broke off");
}
