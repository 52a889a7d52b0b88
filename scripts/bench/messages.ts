/** About one kilobyte, so that a call and its answer are each about 1 KB of JSON. */
const kilobyte = "x".repeat(900);

/** Every request carries this id: the upstream answers it from memory without parsing. */
export const requestId = 1;

/** The body of a short call, and of a call that is answered by a stream. */
export const echoCall = toolsCall("echo", { text: kilobyte });
// A listener says little; a long body would be counted into each stream's memory.
export const streamCall = toolsCall("stream", {});
/** The same as `echoCall`; its answer is one event of a stream, as servers of the official SDK give it. */
export const toldCall = toolsCall("told", { text: kilobyte });
/** The body of a call that is answered a second later; its id makes the upstream look closer. */
export const slowCall = toolsCall("slow", {}, requestId + 1);

function toolsCall(
  name: "echo" | "told" | "stream" | "slow",
  args: { readonly text?: string },
  id = requestId,
): string {
  const params = { name, arguments: args };
  return JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params });
}

export function echoAnswer(id: unknown): string {
  const result = { content: [{ type: "text", text: kilobyte }], isError: false };
  return JSON.stringify({ jsonrpc: "2.0", id, result });
}

/** The one event a stream sends before it falls silent. */
export const firstEvent = `event: message\ndata: ${JSON.stringify({
  jsonrpc: "2.0",
  method: "notifications/message",
  params: { level: "info", data: "open" },
})}\n\n`;
