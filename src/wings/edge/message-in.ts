import { isStreamType } from "#src/calls/headers.ts";
import { isObject } from "#src/config/read.ts";
import { parseExactly } from "#src/crypto/canonical-json.ts";
import { Failure } from "#src/failure.ts";
import { gather } from "#src/http/body.ts";

type Message = Readonly<Record<string, unknown>>;

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
  if (!isStreamType(headers.get("content-type"))) {
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
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value } = (await reader?.read()) ?? {};
    if (value === undefined) return undefined;
    rest += decoder.decode(value, { stream: true });
    if (rest.length > mostBytes) throw tooBig();
    const events = rest.split(/\r\n\r\n|\n\n|\r\r/);
    rest = events.pop() ?? "";
    const messages = events.map((event) => messageIn(dataOf(event)));
    const found = messages.find((message) => message?.["id"] === id);
    if (found !== undefined) return found;
  }
}

function dataOf(event: string): string {
  const lines = event.split(/\r\n|\n|\r/).filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice(5).trimStart()).join("\n");
}

/** Numbers stay as they were written; an id is read as JSON has it. */
function messageIn(text: string): Message | undefined {
  try {
    const value = parseExactly(text);
    if (!isObject(value)) return undefined;
    const { id } = value;
    return { ...value, id: JSON.isRawJSON(id) ? Number(JSON.stringify(id)) : id };
  } catch {
    return undefined;
  }
}
