/**
 * What a call of a gateway cannot do without, in one plain function: how much of ours is the work, and how much is its
 * promises and how it is written. It looks the bearer up, parses the message, counts, swaps the credential over our own
 * connections, searches the answer, and leaves a hash, a line of a log and a row, neither of which is stored.
 */
import { openSync, writeSync } from "node:fs";
import { WaitingRows } from "#src/proxy/call-store.ts";
import { scheduleRequest } from "#src/http/event-loop.ts";
import type { Flow, Incoming } from "#src/http/exchange.ts";
import { Cancel } from "#src/clock.ts";
import { bunRuntime } from "#src/runtime/bun.ts";
import { newId } from "#src/crypto/ids.ts";
import { announce } from "./child.ts";

const [upstream = ""] = process.argv.slice(2);
const credential = {
  accept: "application/json, text/event-stream",
  "content-type": "application/json",
  authorization: `Bearer ${"c".repeat(43)}`,
};
const read = ["origin", "mcp-session-id", "mcp-protocol-version", "last-event-id", "traceparent"];
const [decoder, nowhere, key] = [new TextDecoder(), openSync("/dev/null", "w"), new Uint8Array(32)];
const callers = new Map<string, { readonly counts: number[]; digest: unknown }>();
const headers = new Headers({
  "content-type": "application/json",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "ratelimit-limit": "600",
  "ratelimit-policy": "600;w=60",
  "ratelimit-remaining": "599",
  "ratelimit-reset": "1",
});

type Told = { readonly id: string; readonly args: string; readonly ms: number };
const [told, lines]: [Told[], string[]] = [[], []];
let [rows, count] = [new WaitingRows(), 0];

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  development: false,
  fetch: (request) => scheduleRequest(() => answer(request)),
});
announce({ url: `http://127.0.0.1:${server.port}/mcp` });

async function answer(request: Request): Promise<Response> {
  const since = Date.now();
  const { headers: asked } = request;
  const id = asked.get("x-request-id") ?? `plain-${(count += 1).toString(36)}`;
  for (const name of read) asked.get(name);
  const body = await bunRuntime.settled(request.bytes());
  const { params } = JSON.parse(decoder.decode(body));
  const args = JSON.stringify(params.arguments);
  note(asked.get("authorization") ?? "", args);
  const cancel = new Cancel();
  const outgoing = { url: upstream, method: "POST", headers: credential, body, cancel };
  const incoming = await bunRuntime.exchange(outgoing);
  const whole = incoming.taken?.(1024 * 1024);
  if (whole === undefined) return flowing(incoming);
  search(whole);
  told.push({ id, args, ms: Date.now() - since });
  if (told.length >= 64) tell();
  headers.set("x-request-id", id);
  return new Response(whole, { status: incoming.status, headers });
}

function note(bearer: string, args: string): void {
  const caller = callers.get(bearer) ?? { counts: [0, 0, 0, 0], digest: undefined };
  callers.set(bearer, caller);
  for (const [at, before] of caller.counts.entries()) caller.counts[at] = before + 1;
  caller.digest = bunRuntime.digest(args);
}

function search(answer: Uint8Array<ArrayBuffer>): void {
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length);
  if (bytes.includes(0) || bytes.includes('"tools"')) throw new Error("no answer of a tool");
}

/** In batches, behind the answers. */
function tell(): void {
  const time = new Date();
  for (const { id, args, ms } of told.splice(0)) {
    const hash = bunRuntime.tag(key, "call:echo", args);
    lines.push(
      `{"time":"${time.toISOString()}","event":"call","requestId":"${id}","status":200,"durationMs":${ms},"argumentsHash":"${hash}"}\n`,
    );
    if (rows.isFull) rows = new WaitingRows();
    rows.add(`["${newId(time)}","${time.toISOString()}","${id}","echo","${hash}",200,${ms}]`);
  }
  writeSync(nowhere, lines.splice(0).join(""));
}

function flowing(incoming: Incoming): Response {
  const type = incoming.headers.get("content-type") ?? "";
  let flow: Flow | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      flow = incoming.flow({
        chunk: (bytes) => controller.enqueue(bytes),
        end: () => controller.close(),
        fail: (error) => controller.error(error),
      });
      flow.resume();
    },
    cancel: () => flow?.cancel(),
  });
  return new Response(body, { headers: { "content-type": type } });
}
