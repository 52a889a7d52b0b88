import { expect, test } from "bun:test";
import { Connection, createIdleConnections } from "#src/http/connection.ts";
import { type Head, ResponseParser } from "#src/http/http1.ts";

function keepAliveOf(header: string): number | undefined | "closed" {
  const heads: Head[] = [];
  const parser = new ResponseParser("POST", {
    head: (head) => void heads.push(head),
    chunk: () => undefined,
    end: () => undefined,
  });
  parser.push(
    Uint8Array.from(Buffer.from(`HTTP/1.1 200 OK\r\n${header}content-length: 0\r\n\r\n`)),
  );
  const [head] = heads;
  return head?.isReusable === true ? head.keepAliveMs : "closed";
}

test.each([
  ["", undefined],
  ["keep-alive: timeout=5\r\n", 4000],
  ["Keep-Alive: max=100, timeout = 2\r\n", 1000],
  ['keep-alive: timeout="1"\r\n', 500],
  ["keep-alive: timeout=0\r\n", "closed"],
  ["keep-alive: max=5\r\n", undefined],
  ["connection: close\r\nkeep-alive: timeout=5\r\n", "closed"],
] as const)("%j: kept for %j ms", (header, ms) => {
  expect(keepAliveOf(header)).toBe(ms);
});

test("a connection is taken again within four seconds of silence, or what its server says, and not later", () => {
  let now = 0;
  const idle = createIdleConnections(() => now);
  const settle = { resolve: () => undefined, reject: () => undefined };
  const ended: string[] = [];
  const keep = (name: string, keepAliveMs: number | undefined) => {
    const connection = new Connection("http://x", idle, settle);
    const wire = { write: () => 0, pause: () => 0, resume: () => 0, ref: () => 0, unref: () => 0 };
    connection.attach({ ...wire, terminate: () => ended.push(name) });
    connection.complete(true, keepAliveMs);
    connection.looked();
    return connection;
  };
  const first = keep("first", undefined);
  now = 3999;
  expect(idle.take("http://x")).toBe(first);
  expect(idle.take("http://x")).toBeUndefined();
  first.complete(true, undefined);
  now += 4000;
  expect([idle.take("http://x"), ended]).toEqual([undefined, ["first"]]);
  // The newest is tried first; an older one may be good for longer.
  const long = keep("long", 60_000);
  now += 500;
  keep("short", 1000);
  now += 1000;
  expect([idle.take("http://x"), ended]).toEqual([long, ["first", "short"]]);
  keep("again", 60_000);
  now += 4000;
  expect(idle.take("http://x")).toBeUndefined();
});
