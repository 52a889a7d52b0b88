import { expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { newBearer } from "#test/support/browser-like.ts";
import { effectUnknown, post, toolCall } from "#test/support/mcp.ts";
import { startServe } from "#test/support/process.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

/** An MCP server that begins a stream, sends what it is told, and then loses its connection. */
async function breakingUpstream(before: string) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      const other = answerTo(bytes.toString());
      if (other !== undefined) return void socket.write(other);
      const head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
      const chunk =
        before === "" ? "" : `${Buffer.byteLength(before).toString(16)}\r\n${before}\r\n`;
      return void socket.write(head + chunk, () => setTimeout(() => socket.destroy(), 50));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("listens on a port");
  return {
    url: `http://127.0.0.1:${address.port}/mcp`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** What a client asks before its call, and the stream that it opens beside. */
function answerTo(request: string): string | undefined {
  if (request.includes('"method":"initialize"')) {
    const id = /"id":(\d+)/.exec(request)?.[1];
    const result = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"breaking","version":"1"}}`;
    const body = `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
    return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  }
  if (!request.includes('"method":"notifications/initialized"')) return undefined;
  return "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
}

/** The events that a parser of the HTML standard (section 9.2.6) dispatches. */
function eventsIn(text: string): { type: string; data: string }[] {
  const blocks = text.split(/\r\n\r\n|\n\n|\r\r/);
  // What no empty line ends is not dispatched.
  blocks.pop();
  return blocks.flatMap((block) => {
    const lines = block.split(/\r\n|\n|\r/);
    const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(6));
    const type = lines.findLast((line) => line.startsWith("event:"))?.slice(7) ?? "message";
    return data.length === 0 ? [] : [{ type, data: data.join("\n") }];
  });
}

const whole = 'data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n';

for (const [name, before] of [
  ["before the first event", ""],
  ["between two events", whole],
  ["within an event", `${whole}data: {"jsonrpc":"2.0","id":7,"resu`],
  ["at the end of a line", `${whole}data: {"jsonrpc":\n`],
  ["between CR and LF", `${whole}data: {"jsonrpc":\r`],
] as const) {
  test(`an upstream that dies ${name} ends the client's stream with an error for its request`, async () => {
    await using upstream = await breakingUpstream(before);
    await using world = await openWorld({ environment: pointedAt(upstream.url) });
    const bearer = await newBearer({ url: world.url });
    const answer = await post(`${world.url}/mcp`, bearer, toolCall("slow", {}, 7));
    expect(answer.status).toBe(200);
    const messages = eventsIn(await answer.text()).filter(({ type }) => type === "message");
    expect(messages).toHaveLength(before === "" ? 1 : 2);
    const last: unknown = JSON.parse(messages.at(-1)?.data ?? "");
    expect(last).toMatchObject(effectUnknown("upstream_broke_off", 7));
  });
}

test("the official client is told at once, instead of waiting for its own limit", async () => {
  await using upstream = await breakingUpstream(whole);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const client = new Client({ name: "test", version: "1" });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${world.url}/mcp`), {
      requestInit: { headers: { authorization: `Bearer ${bearer}` } },
    }),
  );
  const begun = performance.now();
  const failed = await client.callTool({ name: "slow", arguments: {} });
  expect(failed.isError).toBe(true);
  expect(JSON.stringify(failed)).toContain("broke off");
  expect(performance.now() - begun).toBeLessThan(5000);
  await client.close();
});

for (const [name, before] of [
  ["between two events", 'id: 1\ndata: {"jsonrpc":"2.0","method":"notifications/message"}\n\n'],
  ["within an event", `id: 1\n${whole}id: 2\ndata: {"jsonr`],
] as const) {
  test(`a stream that can be resumed and breaks off ${name} is not declared failed, and no half event counts as seen`, async () => {
    await using upstream = await breakingUpstream(before);
    await using world = await openWorld({ environment: pointedAt(upstream.url) });
    const bearer = await newBearer({ url: world.url });
    const answer = await post(`${world.url}/mcp`, bearer, toolCall("slow", {}, 7));
    const text = (await answer.text()).replace(": open\n\n", "");
    // No half event is passed on.
    expect(text).toBe(before.slice(0, before.lastIndexOf("\n\n") + 2));
  });
}

test("a stream that only listens and breaks off gets an event of its own", async () => {
  await using upstream = await breakingUpstream(whole);
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const answer = await fetch(`${world.url}/mcp`, {
    headers: { authorization: `Bearer ${bearer}`, accept: "text/event-stream" },
  });
  const events = eventsIn(await answer.text());
  expect(events.map(({ type }) => type)).toEqual(["message", "error"]);
  expect(JSON.parse(events[1]?.data ?? "")).toMatchObject({ code: "upstream_broke_off" });
});

test("a client that dies has its upstream cancelled within 100 ms", async () => {
  const upstreamState = { cancelledAt: 0 };
  await using upstream = scriptedUpstream((request) => {
    const cancelled = Promise.withResolvers<void>();
    request.signal.addEventListener("abort", () => {
      upstreamState.cancelledAt = performance.now();
      cancelled.resolve();
    });
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode(whole));
        await cancelled.promise;
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const waits: number[] = [];
  for (let round = 0; round < 20; round++) {
    upstreamState.cancelledAt = 0;
    const leave = new AbortController();
    const answer = await fetch(`${world.url}/mcp`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
      body: JSON.stringify(toolCall("slow")),
      signal: leave.signal,
    });
    const reader = answer.body?.getReader();
    await reader?.read();
    const leftAt = performance.now();
    leave.abort();
    for (let look = 0; look < 1000 && upstreamState.cancelledAt === 0; look++) await Bun.sleep(1);
    waits.push(upstreamState.cancelledAt - leftAt);
  }
  const longest = Math.max(...waits);
  console.log(`a client's death reached the upstream after ${longest.toFixed(1)} ms at most`);
  expect(upstreamState.cancelledAt).toBeGreaterThan(0);
  expect(longest).toBeLessThan(100);
});

test("SIGTERM: listening streams end at once, a running call gets its answer, one that runs too long is told", async () => {
  const finish = Promise.withResolvers<void>();
  await using upstream = scriptedUpstream((request) => {
    const isQuick = request.headers.get("mcp-name") === "quick";
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        const send = (text: string) => controller.enqueue(new TextEncoder().encode(text));
        send(whole);
        if (!isQuick) return;
        await finish.promise;
        send('data: {"jsonrpc":"2.0","id":1,"result":{"quick":true}}\n\n');
        controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  await using served = await startServe({ ...world.environment, DRAIN_MS: "3000" });
  const url = `${served.url}/mcp`;
  const headers = { authorization: `Bearer ${bearer}`, accept: "text/event-stream" };
  const listening = await fetch(url, { headers });
  const quick = await post(url, bearer, toolCall("quick", {}, 1), { "mcp-name": "quick" });
  const endless = await post(url, bearer, toolCall("endless", {}, 2));
  served.child.kill("SIGTERM");
  const begun = performance.now();
  const heard = eventsIn(await listening.text());
  expect(performance.now() - begun).toBeLessThan(1000);
  expect(JSON.parse(heard.at(-1)?.data ?? "")).toMatchObject({ code: "gateway_stopping" });
  const leaving = await fetch(`${served.url}/readyz`);
  expect(leaving.status).toBe(503);
  expect(leaving.headers.get("connection")).toBe("close");
  finish.resolve();
  expect(await quick.text()).toContain('"quick":true');
  const told = eventsIn(await endless.text());
  const said: unknown = JSON.parse(told.at(-1)?.data ?? "");
  expect(said).toMatchObject(effectUnknown("gateway_stopping", 2));
  expect(await served.child.exited).toBe(0);
  expect(performance.now() - begun).toBeLessThan(6000);
});
