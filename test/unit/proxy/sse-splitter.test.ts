import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { SseSplitter, ByteBuffer } from "#src/proxy/sse.ts";
import { anyText, check, inPieces, pieceSizes } from "#test/support/property.ts";

type Cut = { readonly events: readonly string[]; readonly rest: string; readonly whole: string };

/** What is cut from these chunks. The LF of a CR that stood at the end of an event is of that event. */
function cut(chunks: readonly Uint8Array<ArrayBuffer>[]): Cut {
  const cutter = new SseSplitter();
  const events: string[] = [];
  let [rest, whole] = ["", ""];
  for (const { bytes, isEnd } of chunks.flatMap((chunk) => cutter.cut(chunk))) {
    const text = Buffer.from(bytes).toString("latin1");
    whole += text;
    const isLate = rest === "" && text.startsWith("\n") && events.at(-1)?.endsWith("\r") === true;
    if (isLate) events.push(`${events.pop()}\n`);
    rest += isLate ? text.slice(1) : text;
    if (isEnd) [rest] = ["", events.push(rest)];
  }
  return { events: withoutEmpty(events), rest, whole };
}

/** More empty lines end nothing: they may go with the event before them. */
function withoutEmpty(events: readonly string[]): readonly string[] {
  const joined: string[] = [];
  for (const event of events) {
    const isEmpty = joined.length > 0 && /^[\r\n]+$/.test(event);
    joined.push(isEmpty ? `${joined.pop()}${event}` : event);
  }
  return joined;
}

/** The same by the standard's words: lines end with CRLF, LF or CR, and an empty one ends an event. */
function byTheStandard(text: string): Pick<Cut, "events" | "rest"> {
  const events: string[] = [];
  let rest = "";
  for (const [line] of text.matchAll(/[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+/g)) {
    rest += line;
    if (/^[\r\n]/.test(line)) [rest] = ["", events.push(rest)];
  }
  return { events: withoutEmpty(events), rest };
}

const streams = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom("\n", "\r\n", "\r") },
      { weight: 2, arbitrary: fc.constantFrom("data: x", ":", "event: message", "id", "\ufeff") },
      { weight: 1, arbitrary: anyText },
    ),
    { maxLength: 40 },
  )
  .map((parts) => Buffer.from(parts.join("")));

test("a stream is cut where the standard says, in whatever chunks it arrives", () => {
  check(
    fc.property(streams, pieceSizes, (bytes, sizes) => {
      const expected = byTheStandard(bytes.toString("latin1"));
      const whole = bytes.toString("latin1");
      expect(cut(inPieces(bytes, sizes))).toEqual({ ...expected, whole });
      expect(cut(inPieces(bytes, [1]))).toEqual({ ...expected, whole });
    }),
    { cases: 1500 },
  );
});

test("a CR among empty lines takes no LF with it that comes behind something else", () => {
  const bytes = Buffer.from("\n\n\revent: message\n\n");
  expect(cut(inPieces(bytes, [17, 1])).events).toEqual(["\n\n\r", "event: message\n\n"]);
});

test("an event ends with its empty line and not before, whatever ends its lines", () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const first = `event: message${end}data: 1${end}data: 2${end}${end}`;
    const second = `: comment${end}${end}`;
    const bytes = Buffer.from(`${first}${second}data: 3${end}`);
    expect(cut(inPieces(bytes, [1]))).toMatchObject({
      events: [first, second],
      rest: `data: 3${end}`,
    });
  }
});

test("lines of one event may end differently", () => {
  const bytes = Buffer.from("data: 1\r\ndata: 2\n\rdata: 3\r\n\n\r\r\n");
  expect(cut([Uint8Array.from(bytes)]).events).toEqual([
    "data: 1\r\ndata: 2\n\r",
    "data: 3\r\n\n\r\r\n",
  ]);
});

test("however many empty lines come, they are one piece with the event before them", () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const bytes = Uint8Array.from(Buffer.from(`${end.repeat(10_000)}data: 1${end.repeat(10_000)}`));
    expect(new SseSplitter().cut(bytes).map((piece) => piece.isEnd)).toEqual([true, true]);
  }
});

test("pieces are views of what arrived: nothing is copied", () => {
  const bytes = Uint8Array.from(Buffer.from("data: 1\n\ndata: 2"));
  const pieces = new SseSplitter().cut(bytes);
  expect(pieces.map((piece) => piece.bytes.buffer === bytes.buffer)).toEqual([true, true]);
});

const sized = fc
  .oneof(fc.nat({ max: 20 }), fc.nat({ max: 3000 }))
  .map((length) => new Uint8Array(length).fill(length));

test("what is gathered is everything that was added since it was cleared, however it was cut", () => {
  check(
    fc.property(
      fc.array(fc.oneof(sized, fc.constant("clear" as const)), {
        maxLength: 12,
      }),
      (steps) => {
        const gathered = new ByteBuffer();
        let expected: readonly number[] = [];
        for (const step of steps) {
          if (step === "clear") gathered.clear();
          else gathered.add(step);
          expected = step === "clear" ? [] : [...expected, ...step];
          expect(gathered.length).toBe(expected.length);
        }
        expect(Buffer.from(gathered.view()).equals(Buffer.from(expected))).toBeTrue();
      },
    ),
    { cases: 100 },
  );
});
