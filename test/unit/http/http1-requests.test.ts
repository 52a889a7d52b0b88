import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { type EncodedRequest, bytesOf, encodeRequest, targetOf } from "#src/http/http1.ts";
import { anyText, check } from "#test/support/property.ts";

const target = targetOf("https://mcp.example.com/mcp");
const names = fc.stringMatching(/^x-[a-z]{1,8}$/);

const bytesIn = (request: EncodedRequest) =>
  Buffer.from(bytesOf(request).subarray(0, request.length));

test("a header arrives as it was given, or the request is not sent", () => {
  const values = fc.oneof(
    anyText,
    fc.string({ unit: "grapheme-ascii", maxLength: 12 }),
    fc.constantFrom("a\r\nx-evil: 1", "a\nb", "a\rb", "a\u0000b", "é", "\u0100", "a\tb", ""),
  );
  check(
    fc.property(fc.dictionary(names, values, { maxKeys: 4 }), (headers) => {
      const canBeSent = Object.values(headers).every((value) =>
        /^[\t -~\u0080-\u00ff]*$/.test(value),
      );
      const encode = () => encodeRequest({ method: "GET", headers, body: undefined }, target);
      if (!canBeSent) return expect(encode).toThrow("cannot be sent");
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const head = `GET /mcp HTTP/1.1\r\nhost: mcp.example.com\r\n${lines.join("")}\r\n`;
      return expect(bytesIn(encode()).toString("latin1")).toBe(head);
    }),
    { cases: 500 },
  );
});

test("a body follows its head byte for byte, with its length announced", () => {
  check(
    fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
      const request = { method: "POST", headers: { "x-a": "é" }, body: new Uint8Array(body) };
      const bytes = bytesIn(encodeRequest(request, target));
      const end = bytes.indexOf("\r\n\r\n") + 4;
      expect(bytes.subarray(0, end).toString("latin1")).toBe(
        `POST /mcp HTTP/1.1\r\nhost: mcp.example.com\r\nx-a: é\r\ncontent-length: ${body.length}\r\n\r\n`,
      );
      expect(bytes.subarray(end).equals(Buffer.from(body))).toBeTrue();
    }),
    { cases: 200 },
  );
});

test("a URL leads where it says: host, port, TLS and path", () => {
  expect(targetOf("http://example.com")).toMatchObject({ port: 80, isTls: false, path: "/" });
  expect(targetOf("https://example.com/a?b=c#d")).toMatchObject({
    port: 443,
    isTls: true,
    host: "example.com",
    path: "/a?b=c",
  });
  expect(targetOf("http://[::1]:8080/x")).toMatchObject({
    hostname: "::1",
    host: "[::1]:8080",
    port: 8080,
  });
  expect(targetOf("https://user:secret@example.com/").host).toBe("example.com");
  expect(() => targetOf("/mcp")).toThrow();
});

test("a path holds nothing that would end its line, whatever the URL was", () => {
  check(
    fc.property(anyText, (text) => {
      const { path } = targetOf(`https://example.com/${text}`);
      expect(path).toMatch(/^\/[!-~]*$/);
    }),
    { cases: 300 },
  );
});

test("what is known of a URL is the same after hundreds of others", () => {
  const before = targetOf("https://first.example.com/mcp");
  for (let index = 0; index < 500; index += 1) {
    expect(targetOf(`https://example.com/${index}`).path).toBe(`/${index}`);
  }
  expect(targetOf("https://first.example.com/mcp")).toEqual(before);
});
