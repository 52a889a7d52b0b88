import { expect } from "bun:test";
/** Posts one JSON-RPC message as a plain script would. */
export function post(
  url: string,
  bearer: string,
  message: unknown,
  headers: Readonly<Record<string, string>> = {},
) {
  return fetch(url, {
    method: "POST",
    headers: {
      authorization: `Bearer ${bearer}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
    body: typeof message === "string" ? message : JSON.stringify(message),
  });
}

export function toolCall(name: string, args: Readonly<Record<string, unknown>> = {}, id = 1) {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } };
}

/** A failed result of a tool that may have done its work all the same, as a client gets it. */
export function effectUnknown(code: string, id: number | string = 1) {
  return {
    jsonrpc: "2.0",
    id,
    result: {
      isError: true,
      content: [{ type: "text", text: expect.stringContaining("look before you repeat it") }],
      _meta: { "smartdash/failure": { code } },
    },
  };
}
