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
