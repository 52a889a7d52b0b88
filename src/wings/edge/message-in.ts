import { isStreamType } from "#src/calls/headers.ts";
import { isObject } from "#src/config/read.ts";
import { parseExactly } from "#src/crypto/canonical-json.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/once.ts";

type Message = Readonly<Record<string, unknown>>;

const mostBytes = 8 * 1024 * 1024;
/** A page may take a minute. */
const longestMs = 50_000;

/**
 * The JSON-RPC answer with this id, from JSON or from a stream, of which nothing more is read.
 * Failures: `upstream_invalid` when it is too big, `upstream_timeout`.
 */
export async function answerIn(answer: Response, id: unknown): Promise<Message | undefined> {
  if (isStreamType(answer.headers.get("content-type"))) return await fromStream(answer, id);
  const late = () => new Failure("upstream_timeout");
  return messageIn(await within(longestMs, answer.text(), late));
}

async function fromStream({ body }: Response, id: unknown): Promise<Message | undefined> {
  const reader = body?.getReader();
  let isLate = false;
  const end = () => reader?.cancel().catch(() => undefined);
  const timer = setTimeout(() => {
    isLate = true;
    void end();
  }, longestMs);
  const found = await firstWith(id, reader).finally(() => {
    clearTimeout(timer);
    void end();
  });
  if (isLate) throw new Failure("upstream_timeout");
  return found;
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
    if (rest.length > mostBytes) throw new Failure("upstream_invalid");
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
