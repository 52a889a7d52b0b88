/**
 * The MCP server behind every target: raw TCP and answers from memory, so that it costs little beside what is measured.
 *
 *   POST any path, tools/call "stream"   one event at once, then silence for as long as the client stays
 *   POST any path, tools/call "told"     the same answer as one event of a stream that ends with it
 *   POST any path, tools/call "slow"     about 1 KB of JSON after a second; with an id of its own
 *   POST any path, any other tools/call  about 1 KB of JSON
 *   POST /mortal/N, any of these         the same, but one of N calls meets a token that has died: 401
 *   GET  /open                           how many streams are open now
 *   GET  /refused                        how many calls came to /mortal/N, and how many were refused
 */
import type { Socket } from "bun";
import { announce } from "./child.ts";
import { takeMessage } from "./framing.ts";
import type { Message } from "./framing.ts";
import { echoAnswer, firstEvent, requestId } from "./messages.ts";
import { MortalTokens } from "./mortal-tokens.ts";

type Connection = { rest: Buffer | undefined; streams: boolean };

const usualId = `"id":${requestId},`;
const usualAnswer = json(echoAnswer(requestId));
const accepted = Buffer.from("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
const notAllowed = Buffer.from("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
// X-Accel-Buffering is nginx's own way to switch proxy_buffering off for one answer.
const streamStart = Buffer.from(
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n" +
    "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n" +
    `${firstEvent.length.toString(16)}\r\n${firstEvent}\r\n`,
);
const toldEvent = `event: message\ndata: ${echoAnswer(requestId)}\n\n`;
const toldAnswer = Buffer.from(
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n" +
    `Transfer-Encoding: chunked\r\n\r\n${toldEvent.length.toString(16)}\r\n${toldEvent}\r\n0\r\n\r\n`,
);
const refusal = json(JSON.stringify({ error: "invalid_token" }), "401 Unauthorized");
const slowMillis = 1000;
const mortalTokens = new MortalTokens();
let openStreams = 0;

const listener = Bun.listen<Connection>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open(socket) {
      socket.data = { rest: undefined, streams: false };
    },
    data: receive,
    close(socket) {
      if (socket.data.streams) openStreams -= 1;
    },
    error: (socket) => socket.terminate(),
  },
});
announce({ url: `http://127.0.0.1:${listener.port}/mcp` });

function receive(socket: Socket<Connection>, bytes: Buffer): void {
  const connection = socket.data;
  if (connection.streams) return;
  let buffer = connection.rest === undefined ? bytes : Buffer.concat([connection.rest, bytes]);
  connection.rest = undefined;
  while (buffer.length > 0) {
    const request = takeMessage(buffer);
    if (request === undefined) {
      connection.rest = buffer;
      return;
    }
    const answer = answerTo(request);
    if (answer === streamStart) {
      connection.streams = true;
      openStreams += 1;
    }
    if ("later" in answer) setTimeout(() => send(socket, answer.later), slowMillis);
    else send(socket, answer);
    buffer = buffer.subarray(request.end);
  }
}

/** A kilobyte fits into an empty socket buffer; a client that does not read is dropped. */
function send(socket: Socket<Connection>, answer: Buffer): void {
  if (socket.write(answer) < answer.length) socket.terminate();
}

type Answer = Buffer | { readonly later: Buffer };

function answerTo({ head, body }: Message): Answer {
  if (head.startsWith("GET /open ")) return json(String(openStreams));
  if (head.startsWith("GET /refused ")) return json(JSON.stringify(mortalTokens.counts));
  if (!head.startsWith("POST ")) return notAllowed;
  if (head.startsWith("POST /mortal/") && mortalTokens.refuses(head, callsForEachRefusal(head)))
    return refusal;
  if (body.includes('"stream"')) return streamStart;
  if (body.includes('"told"')) return toldAnswer;
  if (body.includes(usualId) && body.includes('"tools/call"')) return usualAnswer;
  return unusualAnswer(body);
}

function callsForEachRefusal(head: string): number {
  return Number.parseInt(head.slice("POST /mortal/".length), 10);
}

/** What a gateway may say on its own account: it shakes hands, lists tools, or numbers its requests anew. */
function unusualAnswer(body: string): Answer {
  const parsed: unknown = JSON.parse(body);
  if (typeof parsed !== "object" || parsed === null || !("id" in parsed)) return accepted;
  const { id } = parsed;
  const method = "method" in parsed ? parsed.method : undefined;
  if (method === "tools/call") {
    const answer = json(echoAnswer(id));
    return body.includes('"slow"') ? { later: answer } : answer;
  }
  if (method === "tools/list") return json(JSON.stringify({ jsonrpc: "2.0", id, result: tools }));
  if (method === "initialize")
    return json(JSON.stringify({ jsonrpc: "2.0", id, result: greeting }));
  return json(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32601, message: "unknown" } }));
}

function json(body: string, status = "200 OK"): Buffer {
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  return Buffer.from(`${head}\r\n\r\n${body}`);
}

const greeting = {
  protocolVersion: "2025-06-18",
  capabilities: { tools: {} },
  serverInfo: { name: "bench-upstream", version: "1" },
};
const tools = {
  tools: ["echo", "told", "stream", "slow"].map((name) => ({
    name,
    inputSchema: { type: "object" },
  })),
};
