import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { rewriteEndpoint } from "#src/calls/first-event.ts";
import { check, inPieces, pieceSizes } from "#test/support/property.ts";

/** What comes out of these chunks; `passed` before the stream ends. */
function rewritten(chunks: readonly Uint8Array<ArrayBuffer>[]) {
  const out: Uint8Array[] = [];
  const seen: string[] = [];
  const sink = rewriteEndpoint(
    {
      chunk: (bytes) => void out.push(bytes),
      end: () => void seen.push("ended"),
      fail: (error) => void seen.push(error.message),
    },
    (endpoint) => `/gateway?to=${endpoint}`,
  );
  for (const chunk of chunks) sink.chunk(chunk);
  const passed = Buffer.concat(out).toString();
  sink.end();
  return { passed, all: Buffer.concat(out), seen };
}

const lineEnds = fc.constantFrom("\n", "\r\n");
const comments = fc.array(fc.constantFrom("", ": open", ":", ": event: endpoint"), {
  maxLength: 3,
});
const addresses = fc.stringMatching(/^[/a-zA-Z0-9?=&.:-]{1,40}$/);
// ASCII, and comments before it in one chunk: a character or a comment that is cut in two is not looked at here.
const behind = fc.array(
  fc.constantFrom("data: /other", "event: endpoint", "", "id: 1", "\n", "\r\n", "\r"),
);

test("the address in a first event `endpoint` is rewritten and everything around it stays, in whatever chunks", () => {
  check(
    fc.property(
      fc.record({ end: lineEnds, comments, address: addresses, behind, sizes: pieceSizes }),
      fc.constantFrom("data: ", "data:"),
      ({ end, comments, address, behind, sizes }, field) => {
        const first = comments.map((line) => line + end).join("");
        const before = `event: endpoint${end}${field}`;
        const after = `${end}${end}${behind.join("")}`;
        const cut = inPieces(Buffer.from(before + address + after), sizes);
        const { all, seen } = rewritten([Uint8Array.from(Buffer.from(first)), ...cut]);
        expect(all.toString()).toBe(`${first}${before}/gateway?to=${address}${after}`);
        expect(seen).toEqual(["ended"]);
      },
    ),
    { cases: 700 },
  );
});

test("a stream that begins otherwise passes byte for byte, in whatever chunks", () => {
  const beginnings = fc.constantFrom("", "data: /x\n\n", "event: message\ndata: /x\n\n", ": e\n");
  check(
    fc.property(
      beginnings,
      fc.uint8Array({ maxLength: 60 }),
      pieceSizes,
      (beginning, bytes, sizes) => {
        const whole = Buffer.concat([Buffer.from(beginning), bytes]);
        expect(rewritten(inPieces(whole, sizes)).all.equals(whole)).toBeTrue();
      },
    ),
    { cases: 500 },
  );
});

test("what cannot become an event `endpoint` any more passes at once", () => {
  for (const text of ["event: m", "data", ": open\n\nevent: message", "\nid: 1\n", "x"]) {
    expect(rewritten([Uint8Array.from(Buffer.from(text))]).passed).toBe(text);
  }
});

test("an event `endpoint` that never ends is not held beyond 8,192 characters, and passes at the end", () => {
  const begun = "event: endpoint\ndata: /";
  const held = rewritten([Uint8Array.from(Buffer.from(begun))]);
  expect([held.passed, held.all.toString()]).toEqual(["", begun]);
  const long = Uint8Array.from(Buffer.from(begun + "x".repeat(8192)));
  expect(rewritten([long]).passed.length).toBeGreaterThan(8192);
});

test("a stream that fails fails, and nothing comes after", () => {
  const seen: string[] = [];
  const sink = rewriteEndpoint(
    {
      chunk: () => void seen.push("chunk"),
      end: () => void seen.push("ended"),
      fail: (error) => void seen.push(error.message),
    },
    String,
  );
  sink.chunk(Uint8Array.from(Buffer.from("event: endp")));
  sink.fail(new Error("broken off"));
  expect(seen).toEqual(["broken off"]);
});
