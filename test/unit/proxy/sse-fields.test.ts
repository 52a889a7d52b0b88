import { expect, test } from "bun:test";
import { fieldsOf, withData } from "#src/proxy/sse.ts";

test.each([
  ["event: endpoint\ndata: /x\n\n", "endpoint", "/x"],
  ["data:/x\nevent:endpoint\n\n", "endpoint", "/x"],
  ["id: 1\rretry: 5\revent: a\revent: b\rdata:  x\r\r", "b", " x"],
  ["data: a\r\ndata:b\r\ndata\r\n\r\n", "message", "a\nb\n"],
  ["event:\ndata:\n\n", "message", ""],
  [": data: x\n\n", "message", undefined],
  [" data: x\ndatas: y\nDATA: z\n\n", "message", undefined],
] as const)("%j", (event, type, data) => {
  expect(fieldsOf(event)).toEqual({ type, data });
});

test.each([
  ["id: 1\ndata: a\ndata: b\nevent: x\n\n", "id: 1\ndata: new\nevent: x\n\n"],
  ["data\r\rid:2\r", "data: new\r\rid:2\r"],
  ["data:a\r\n\r\n", "data: new\r\n\r\n"],
])("another message in %j", (event, changed) => {
  expect(withData(event, "new")).toBe(changed);
});
