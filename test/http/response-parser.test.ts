import { expect, test } from "bun:test";
import { type Head, ResponseParser } from "#src/http/http1.ts";

type Read = { head?: Head; body: string; ended: number; isClean?: boolean; error?: string };

/** Feeds `text` in pieces of `size` bytes and closes the connection if asked to. */
function read(
  text: string,
  { size = Number.POSITIVE_INFINITY, closes = false, method = "POST" } = {},
): Read {
  const result: Read = { body: "", ended: 0 };
  const parser = new ResponseParser(method, {
    head: (head) => (result.head = head),
    chunk: (bytes) => (result.body += Buffer.from(bytes).toString("latin1")),
    end: (isClean) => {
      result.ended += 1;
      result.isClean = isClean;
    },
  });
  const bytes = Uint8Array.from(Buffer.from(text, "latin1"));
  try {
    for (let at = 0; at < bytes.length; at += size) parser.push(bytes.slice(at, at + size));
    if (closes) parser.close();
  } catch (error) {
    result.error = error instanceof Error ? error.message : "thrown";
  }
  return result;
}

const messages = {
  length: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello",
  chunked:
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
  interim:
    "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  untilClose: "HTTP/1.0 200 OK\r\n\r\nhello",
} as const;

for (const [name, text] of Object.entries(messages)) {
  test(`${name}: the same message comes out in whatever pieces it arrives`, () => {
    for (let size = 1; size <= text.length; size++) {
      const result = read(text, { size, closes: true });
      expect(result).toMatchObject({ body: "hello", ended: 1 });
      expect(result.head?.status).toBe(200);
      expect(result.error).toBeUndefined();
    }
  });
}

test("a connection is reused only when both sides can know where the message ends", () => {
  const reusable = (text: string) => read(text, { closes: true }).head?.isReusable;
  expect(reusable(messages.length)).toBe(true);
  expect(reusable(messages.chunked)).toBe(true);
  expect(reusable(messages.untilClose)).toBe(false);
  expect(reusable("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n")).toBe(false);
  expect(reusable("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")).toBe(false);
  expect(reusable("HTTP/1.1 200 OK\r\n\r\nx")).toBe(false);
  expect(read(`${messages.length}HTTP/1.1 200 OK`).isClean).toBe(false);
});

test("answers without a body end with their head", () => {
  expect(read("HTTP/1.1 204 No Content\r\n\r\n").ended).toBe(1);
  expect(read("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").ended).toBe(1);
  expect(read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", { method: "HEAD" }).ended).toBe(1);
  expect(read("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").ended).toBe(1);
});

const broken = {
  "two framings":
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "another coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
  "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
  "a signed length": "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
  "a chunk without a size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
  "a hexadecimal prefix":
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
  "a huge chunk size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
  "a chunk that does not end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhelXX",
  "bare line feeds in chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nhel\n0\n\n",
  "a folded header": "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
  "a space before the colon": "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
  "a NUL in a header": "HTTP/1.1 200 OK\r\nX: a\u0000b\r\nContent-Length: 0\r\n\r\n",
  "no status": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
  "HTTP/2 in the clear": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "an endless head": `HTTP/1.1 200 OK\r\nX: ${"a".repeat(70_000)}`,
  "an endless chunk line": `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;${"a".repeat(5000)}`,
} as const;

for (const [name, text] of Object.entries(broken)) {
  test(`${name}: refused`, () => {
    expect(read(text).error).toStartWith("the upstream's HTTP is broken");
  });
}

test("a message that ends early is told from one that is complete", () => {
  expect(read(messages.length.slice(0, -1), { closes: true }).error).toContain("ended early");
  expect(read(messages.chunked.slice(0, -4), { closes: true }).error).toContain("ended early");
  expect(read(messages.length, { closes: true }).error).toBeUndefined();
});
