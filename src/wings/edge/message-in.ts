import { isStreamType } from "#src/calls/headers.ts";
import { isObject } from "#src/config/read.ts";
import { parseExactly } from "#src/crypto/canonical-json.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/once.ts";

type Message = Readonly<Record<string, unknown>>;

const mostBytes = 8 * 1024 * 1024;
/** A page may take a minute. */
const longestMs = 50_000;

/** The JSON-RPC answer with this id, from JSON or from a stream, of which nothing more is read. Failures: `upstream_invalid`, `upstream_timeout`. */
export async function answerIn(answer: Response, id: unknown): Promise<Message | undefined> {
  const late = () => new Failure("upstream_timeout");
  const isStream = isStreamType(answer.headers.get("content-type"));
  return await within(longestMs, isStream ? fromStream(answer, id) : fromJson(answer), late);
}

async function fromJson(answer: Response): Promise<Message | undefined> {
  return messageIn(await answer.text());
}

async function fromStream(answer: Response, id: unknown): Promise<Message | undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  // Leaving the loop ends the stream.
  for await (const bytes of answer.body ?? []) {
    rest += decoder.decode(bytes, { stream: true });
    if (rest.length > mostBytes) throw new Failure("upstream_invalid");
    const events = rest.split(/\r\n\r\n|\n\n|\r\r/);
    rest = events.pop() ?? "";
    const found = events
      .map(dataOf)
      .map(messageIn)
      .find((message) => message?.["id"] === id);
    if (found !== undefined) return found;
  }
  return undefined;
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
