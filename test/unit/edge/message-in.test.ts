import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { answerIn } from "#src/edge/message-in.ts";
import { asFailure } from "#src/failure.ts";
import { check, inPieces, pieceSizes } from "#test/support/property.ts";

const stays = new AbortController().signal;

function streamed(pieces: readonly Uint8Array[], ends = true): Response {
  let isRead = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (!isRead) for (const piece of pieces) controller.enqueue(piece);
      isRead = true;
      if (ends) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

const others = fc.constantFrom(
  ": keepalive",
  "event: message\ndata: not JSON",
  'data: {"jsonrpc":"2.0","method":"notifications/progress"}',
  'data: {"jsonrpc":"2.0","id":"7","result":"another id"}',
  'id: 7\ndata: [{"id":7}]',
  "data",
  "",
);

test("the answer with the id is found in a stream, whatever stands around it, ends its lines or cuts its bytes", async () => {
  await check(
    fc.asyncProperty(
      fc.record({
        before: fc.array(others, { maxLength: 4 }),
        after: fc.array(others, { maxLength: 2 }),
        text: fc.string({ unit: "grapheme", maxLength: 12 }),
        // Pretty JSON is one line of `data` for each of its own.
        indent: fc.constantFrom(0, 2),
        end: fc.constantFrom("\n", "\r\n", "\r"),
        mark: fc.constantFrom("", "\ufeff"),
      }),
      pieceSizes,
      async ({ before, after, text, indent, end, mark }, sizes) => {
        const message = { jsonrpc: "2.0", id: 7, result: { text } };
        const lines = JSON.stringify(message, null, indent).split("\n");
        const answer = lines.map((line) => `data: ${line}`).join("\n");
        const events = [...before, answer, ...after].map((event) => `${event}\n\n`).join("");
        const bytes = Buffer.from(mark + events.replaceAll("\n", end));
        const found = await answerIn(streamed(inPieces(bytes, sizes)), 7, stays);
        expect(found).toEqual(message);
      },
    ),
    { cases: 400 },
  );
});

test("lines of one event are lines: what stands at the end of one and at the beginning of the next is not one word", async () => {
  const pieces = [Buffer.from('data: {"id":1\ndata: 2}\n\ndata: {"id":12,\ndata: "result":1}\n\n')];
  expect(await answerIn(streamed(pieces), 12, stays)).toHaveProperty("result");
});

test("nothing more is read once the answer is there", async () => {
  const pieces = [Buffer.from('data: {"id":1,"result":{}}\n\n')];
  expect(await answerIn(streamed(pieces, false), 1, stays)).toEqual({ id: 1, result: {} });
});

test("a stream without the answer, or with half of it, has none", async () => {
  for (const text of ["", 'data: {"id":2}\n\n', 'data: {"id":1', 'data: {"id":1}\n']) {
    expect(await answerIn(streamed([Buffer.from(text)]), 1, stays)).toBeUndefined();
  }
});

test("whoever leaves waits no longer", async () => {
  const leaving = new AbortController();
  const waiting = answerIn(streamed([], false), 1, leaving.signal);
  leaving.abort();
  expect(await waiting).toBeUndefined();
});

test("JSON is read whole, and numbers stay as they were written", async () => {
  const json = '{"id":9,"result":{"order":12345678901234567890}}';
  for (const answer of [
    new Response(json, { headers: { "content-type": "application/json" } }),
    streamed([Buffer.from(`data:${json}\n\n`)]),
  ]) {
    expect(JSON.stringify(await answerIn(answer, 9, stays))).toBe(json);
  }
});

test("what is too big is refused, as JSON and as an event that does not end", async () => {
  const pieces = Array.from({ length: 3 }, () => Buffer.alloc(3 * 1024 * 1024, "x"));
  const refusal = (answer: Response) =>
    answerIn(answer, 1, stays).catch((error: unknown) => asFailure(error).code);
  expect(await refusal(streamed(pieces))).toBe("upstream_invalid");
  expect(await refusal(new Response(Buffer.concat(pieces)))).toBe("upstream_invalid");
});
