import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ResponseBroken, ResponseParser } from "#src/http/http1.ts";
import { check, inPieces, pieceSizes } from "#test/support/property.ts";

type Read = {
  status?: number;
  isReusable?: boolean;
  headers: Readonly<Record<string, string>>;
  body: string;
  how: "ended" | "open" | "broken" | "early";
};

/** What is read of these pieces, by whoever stops at the end of the message as the gateway does. */
function read(pieces: readonly Uint8Array<ArrayBuffer>[], method = "POST"): Read {
  const result: Read = { headers: {}, body: "", how: "open" };
  const parser = new ResponseParser(method, {
    head: ({ headers, ...head }) =>
      void Object.assign(result, head, { headers: Object.fromEntries(headers) }),
    chunk: (bytes) => (result.body += Buffer.from(bytes).toString("latin1")),
    end: () => (result.how = "ended"),
  });
  try {
    for (const piece of pieces) if (result.how === "open") parser.push(piece);
    if (result.how === "open") parser.close();
  } catch (error) {
    if (!(error instanceof ResponseBroken)) throw error;
    result.how = error.message.includes("ended early") ? "early" : "broken";
  }
  return result;
}

const bodies = fc.array(fc.string({ unit: "binary-ascii", maxLength: 40 }), { maxLength: 4 });
const status = fc.integer({ min: 200, max: 599 }).filter((each) => each !== 204 && each !== 304);
const fields = fc.uniqueArray(
  fc.tuple(fc.stringMatching(/^x-[a-z0-9]{1,8}$/), fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/)),
  { maxLength: 4, selector: ([name]) => name },
);
const interims = fc.array(
  fc.constantFrom("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"),
  { maxLength: 2 },
);

/** A message as RFC 9112 lets a server write it. */
const messages = fc
  .record({
    status,
    fields,
    bodies,
    interims,
    framing: fc.constantFrom("length", "chunked", "close"),
    size: fc.constantFrom(
      (size: number) => size.toString(16),
      (size: number) => `0${size.toString(16).toUpperCase()}`,
    ),
    extension: fc.constantFrom("", ";a=b", " ", '\t;q="x"'),
    trailers: fc.constantFrom("", "X-Trailer: 1\r\n", "A: b\r\nC: d\r\n"),
  })
  .map(({ status, fields, bodies, interims, framing, size, extension, trailers }) => {
    const whole = bodies.join("");
    const chunks = bodies.filter((body) => body !== "");
    const framed = {
      length: { name: `Content-Length: ${whole.length}\r\n`, body: whole },
      chunked: {
        name: "Transfer-Encoding: chunked\r\n",
        body: `${chunks.map((chunk) => `${size(chunk.length)}${extension}\r\n${chunk}\r\n`).join("")}0\r\n${trailers}\r\n`,
      },
      close: { name: "", body: whole },
    }[framing];
    const lines = fields.map(([name, value]) => `${name.toUpperCase()}: \t${value} \r\n`).join("");
    const text = `${interims.join("")}HTTP/1.1 ${status} Reason\r\n${lines}${framed.name}\r\n${framed.body}`;
    return { text, status, fields, body: whole, framing };
  });

const bytesOf = (text: string) => Buffer.from(text, "latin1");

test("what a server sent is what is read, in whatever pieces it arrives", () => {
  check(
    fc.property(messages, pieceSizes, ({ text, status, fields, body, framing }, sizes) => {
      const result = read(inPieces(bytesOf(text), sizes));
      expect(result).toMatchObject({ status, isReusable: framing !== "close" });
      expect(result.headers).toMatchObject(Object.fromEntries(fields));
      expect([result.body, result.how]).toEqual([body, "ended"]);
    }),
    { cases: 700 },
  );
});

test("a message that ends early is told from one that is complete, wherever it breaks off", () => {
  check(
    fc.property(messages, fc.nat(), ({ text, framing, body }, at) => {
      const cut = text.slice(0, at % text.length);
      const result = read([Uint8Array.from(bytesOf(cut))]);
      const isAllOfIt = framing === "close" && result.status !== undefined;
      expect(result.how).toBe(isAllOfIt ? "ended" : "early");
      expect(body.startsWith(result.body)).toBeTrue();
    }),
    { cases: 500 },
  );
});

test("whatever bytes come, they are read or refused, the same in whatever pieces", () => {
  const damaged = fc
    .tuple(
      messages,
      fc.nat(),
      fc.constantFrom("", "\r", "\n", "\r\n", " ", ":", "0", "\u0000", "é", "chunked"),
      fc.nat({ max: 3 }),
    )
    .map(([{ text }, at, put, gone]) => {
      const place = at % text.length;
      return text.slice(0, place) + put + text.slice(place + gone);
    });
  const noise = fc.string({ unit: "binary-ascii", maxLength: 80 });
  check(
    fc.property(fc.oneof(damaged, noise), pieceSizes, (text, sizes) => {
      const whole = read([Uint8Array.from(bytesOf(text))]);
      expect(read(inPieces(bytesOf(text), sizes))).toEqual(whole);
      expect(read(inPieces(bytesOf(text), [1]))).toEqual(whole);
    }),
    { cases: 700 },
  );
});

test("nothing of what comes behind a message is taken for its body", () => {
  check(
    fc.property(messages, fc.string({ minLength: 1 }), ({ text, body, framing }, behind) => {
      fc.pre(framing !== "close");
      const ends: boolean[] = [];
      let got = "";
      const parser = new ResponseParser("GET", {
        head: () => undefined,
        chunk: (bytes) => (got += Buffer.from(bytes).toString("latin1")),
        end: (isClean) => void ends.push(isClean),
      });
      parser.push(Uint8Array.from(bytesOf(text + behind)));
      expect([got, ends]).toEqual([body, [false]]);
    }),
    { cases: 300 },
  );
});

test("an answer to HEAD, and one without content, has no body whatever its framing says", () => {
  check(
    fc.property(messages, ({ text, framing }) => {
      fc.pre(framing !== "close");
      const result = read([Uint8Array.from(bytesOf(text))], "HEAD");
      expect([result.how, result.body]).toEqual(["ended", ""]);
    }),
    { cases: 100 },
  );
});

const withLength = (length: string) =>
  read([Uint8Array.from(bytesOf(`HTTP/1.1 200 OK\r\n${length}\r\n\r\nhello`))]).how;

test.each([
  ["Content-Length: 5", "ended"],
  ["Content-Length: 5, 5", "ended"],
  ["Content-Length: 5\r\nContent-Length: 5", "ended"],
  ["Content-Length: 05", "ended"],
  ["Content-Length: 6", "early"],
  ["Content-Length: 5, 6", "broken"],
  ["Content-Length: 5,", "broken"],
  ["Content-Length: ", "broken"],
  ["Content-Length: -5", "broken"],
  ["Content-Length: 0x5", "broken"],
  ["Content-Length: 5.0", "broken"],
  ["Content-Length: 5 5", "broken"],
  ["Content-Length: 1000000000000000", "broken"],
  ["Transfer-Encoding: identity", "broken"],
  ["Transfer-Encoding: chunked, chunked", "broken"],
  ["Transfer-Encoding: gzip", "broken"],
  ["Transfer-Encoding: chunked\r\nContent-Length: 5", "broken"],
])("%j: the message is %s", (header, how) => {
  expect(withLength(header)).toBe(how as Read["how"]);
});

test("a status is three digits from 100 to 599 in a line of HTTP/1.0 or 1.1", () => {
  const first = (line: string) =>
    read([Uint8Array.from(bytesOf(`${line}\r\nContent-Length: 0\r\n\r\n`))]).how;
  const good = ["HTTP/1.1 200 OK", "HTTP/1.0 599", "HTTP/1.1 200 ", "HTTP/1.1 200"];
  expect(good.map(first)).toEqual(good.map(() => "ended"));
  const bad = [
    "HTTP/1.2 200 OK",
    "HTTP/1.1 20 OK",
    "HTTP/1.1 2000",
    "HTTP/1.1 600 X",
    "http/1.1 200",
  ];
  const odd = ["HTTP/1.1  200 OK", " HTTP/1.1 200 OK", "ICY 200 OK", "HTTP/2 200", ""];
  expect([...bad, ...odd].map(first)).toEqual([...bad, ...odd].map(() => "broken"));
});
