import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { rewriteEndpoint, ByteOrderMarkFilter } from "#src/proxy/endpoint-event.ts";
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

const lineEnds = fc.constantFrom("\n", "\r\n", "\r");
const addresses = fc.stringMatching(/^[/a-zA-Z0-9?=&.:-]{1,40}$/);
/** Whatever may stand in an event beside the two lines that matter. */
const lines = fc.array(
  fc.constantFrom(": open", ":", ": event: endpoint", "id: 1", "retry: 3000", "x"),
  {
    maxLength: 3,
  },
);
const events = fc.array(
  fc.constantFrom(
    ["event: message", "data: {}"],
    ["data: hello"],
    ["event: ping"],
    [": open"],
    [""],
  ),
  { maxLength: 4 },
);
const behind = fc.array(fc.constantFrom("data: /other", "", "id: 1", "\n", "\r\n", "\r", "ñ"));

test("the address in an event `endpoint` is rewritten and everything around it stays, in whatever order, line ends and chunks", () => {
  check(
    fc.property(
      fc.record({
        end: lineEnds,
        before: events,
        lines,
        address: addresses,
        behind,
        sizes: pieceSizes,
        type: fc.constantFrom("event: endpoint", "event:endpoint"),
        field: fc.constantFrom("data: ", "data:"),
        isDataFirst: fc.boolean(),
      }),
      ({ end, before, lines, address, behind, sizes, type, field, isDataFirst }) => {
        const first = before.map((event) => event.join(end) + end + end).join("");
        const event = (data: string) =>
          [...lines, ...(isDataFirst ? [data, type] : [type, data]), "", ""].join(end);
        const after = behind.join("");
        const sent = first + event(`${field}${address}`) + after;
        const { all, seen } = rewritten(inPieces(Buffer.from(sent), sizes));
        expect(all.toString()).toBe(`${first}${event(`data: /gateway?to=${address}`)}${after}`);
        expect(seen).toEqual(["ended"]);
      },
    ),
    { cases: 1000 },
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

test("a whole event passes at once, and every address is rewritten, wherever it comes", () => {
  const passed = (text: string) => rewritten([Uint8Array.from(Buffer.from(text))]).passed;
  for (const text of ["event: m\n\n", "data\n\n", ": open\r\r", "\nid: 1\n\n", "x\r\n\r\n"]) {
    expect(passed(text)).toBe(text);
  }
  expect(passed("data: 1\n\ndata: ")).toBe("data: 1\n\n");
  const many = "data: 1\n\n".repeat(40);
  const one = "event: endpoint\ndata: /a\n\n";
  const changed = one.replace("/a", "/gateway?to=/a");
  expect(passed(many + one + many + one)).toBe(many + changed + many + changed);
});

test("a byte order mark at the beginning goes, in whatever chunks, and nothing else", () => {
  const out = (bytes: Uint8Array, sizes: readonly number[]) => {
    const chunks: Uint8Array[] = [];
    const sink = new ByteOrderMarkFilter({
      chunk: (chunk) => void chunks.push(chunk),
      end: () => undefined,
      fail: () => undefined,
    });
    for (const piece of inPieces(Buffer.from(bytes), sizes)) sink.chunk(piece);
    sink.end();
    return Buffer.concat(chunks);
  };
  const mark = Uint8Array.of(0xef, 0xbb, 0xbf);
  const byte = fc.oneof(fc.constantFrom(0xef, 0xbb, 0xbf), fc.nat({ max: 255 }));
  check(
    fc.property(fc.array(byte, { maxLength: 8 }), pieceSizes, (some, sizes) => {
      const bytes = Uint8Array.from(some);
      const hasMark = mark.every((each, at) => bytes[at] === each);
      expect(out(bytes, sizes).equals(bytes.subarray(hasMark ? 3 : 0))).toBeTrue();
      expect(out(Buffer.concat([mark, bytes]), sizes).equals(bytes)).toBeTrue();
    }),
    { cases: 500 },
  );
});

test("an event `endpoint` that is too long ends the stream, wherever it names itself", () => {
  const begun = "event: endpoint\ndata: /";
  const held = rewritten([Uint8Array.from(Buffer.from(begun))]);
  expect([held.passed, held.all.toString()]).toEqual(["", begun]);
  const long = "x".repeat(9000);
  const others = ["event: message\n", `data: event: endpoint\n`];
  for (const text of others.map((each) => `${each}data: ${long}\n\n`)) {
    check(
      fc.property(pieceSizes, (sizes) => {
        expect(rewritten(inPieces(Buffer.from(text), sizes)).all.toString()).toBe(text);
      }),
      { cases: 20 },
    );
  }
  const bad = [
    `event: endpoint\ndata: /a\n: ${long}\n\n`,
    `: ${long}\r\ndata: /a\r\nevent:endpoint\r\n\r\n`,
    `data: 1\n\n: ${long}\nevent: endpoint\n: ${long}\ndata: /a\n\n`,
  ];
  for (const text of bad) {
    check(
      fc.property(pieceSizes, (sizes) => {
        expect(() => rewritten(inPieces(Buffer.from(text), sizes))).toThrow("MCP server");
      }),
      { cases: 20 },
    );
  }
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
