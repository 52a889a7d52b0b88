import { type Piece, SseSplitter, dataOf, ByteBuffer } from "#src/proxy/sse.ts";
import { mediaTypeOf } from "#src/proxy/headers.ts";
import { listBounds, scanJson, isObject, parseExactly } from "#src/json.ts";
import { Failure } from "#src/failure.ts";
import { gather } from "#src/http/body.ts";

type Message = Readonly<Record<string, unknown>>;

const decoder = new TextDecoder();
const mostBytes = 8 * 1024 * 1024;
const tooBig = () => new Failure("upstream_invalid");

/**
 * The JSON-RPC answer with this id, from JSON or from a stream, of which nothing more is read; `leaving` ends it.
 * Failures: `upstream_invalid` when it is too big.
 */
export async function answerIn(
  answer: Response,
  id: unknown,
  leaving: AbortSignal,
): Promise<Message | undefined> {
  const { body, headers } = answer;
  if (!mediaTypeOf(headers.get("content-type")).isStream) {
    return messageIn(Buffer.from(await gather(body, mostBytes, tooBig)).toString("utf8"));
  }
  const reader = body?.getReader();
  const end = () => void reader?.cancel().catch(() => undefined);
  leaving.addEventListener("abort", end);
  return await firstWith(id, reader).finally(() => {
    leaving.removeEventListener("abort", end);
    end();
  });
}

async function firstWith(
  id: unknown,
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
): Promise<Message | undefined> {
  const splitter = new SseSplitter();
  const event = new ByteBuffer();
  for (;;) {
    const { value } = (await reader?.read()) ?? {};
    if (value === undefined) return undefined;
    const messages = splitter
      .cut(new Uint8Array(value))
      .map((piece) => messageBehind(event, piece));
    const found = messages.find((message) => message?.["id"] === id);
    if (found !== undefined) return found;
  }
}

/** The message of an event that ends with this piece of it. */
function messageBehind(event: ByteBuffer, { bytes, isEnd }: Piece): Message | undefined {
  event.add(bytes);
  if (event.length > mostBytes) throw tooBig();
  if (!isEnd) return undefined;
  const message = messageIn(dataOf(decoder.decode(event.view())));
  event.clear();
  return message;
}

/** Numbers stay as they were written; an id is read as JSON has it. */
function messageIn(text: string): Message | undefined {
  try {
    scanJson(text, { bounds: listBounds });
    const value = parseExactly(text);
    if (!isObject(value)) return undefined;
    const { id } = value;
    return { ...value, id: JSON.isRawJSON(id) ? Number(JSON.stringify(id)) : id };
  } catch {
    return undefined;
  }
}
