import { expect, test } from "bun:test";
import { readCall } from "#src/proxy/message.ts";

/** What a person agrees to, of a call with these headers and members. */
async function agreed(headers: Readonly<Record<string, string>>, members: object = {}) {
  const params = { name: "pay", arguments: { to: "bob" } };
  const request = new Request("http://localhost/mcp", {
    method: "POST",
    headers: { "content-type": "application/json", "mcp-name": "pay", ...headers },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params, ...members }),
  });
  const call = await readCall(request);
  return call.toolCalls[0]?.written.request;
}

test("a yes is for the headers and unknown members that reach the MCP server, too", async () => {
  const plain = await agreed({});
  expect(plain).toBe('{"to":"bob"}');
  expect(await agreed({ "x-other": "eve" })).toBe(plain);
  const all = [
    await agreed({ "mcp-param-to": "bob" }),
    await agreed({ "mcp-param-to": "eve" }),
    await agreed({}, { extra: { to: "eve" } }),
  ];
  expect(new Set([plain, ...all]).size).toBe(4);
});
