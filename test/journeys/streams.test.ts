import { expect, test } from "bun:test";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { newBearer } from "#test/support/browser-like.ts";
import { openRawStream } from "#test/support/raw-stream.ts";
import { rssOf } from "#test/support/memory.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { startServe } from "#test/support/process.ts";
import { startSsePeer } from "#test/support/sse-peer.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";
import { until } from "#test/support/until.ts";

const encoder = new TextEncoder();
type Script = (send: (text: string) => void, signal: AbortSignal) => Promise<void>;

/** An answer that says what the script says and then ends. */
function eventStream(script: Script) {
  return (request: Request): Response => {
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        await script((text) => controller.enqueue(encoder.encode(text)), request.signal).catch(
          () => undefined,
        );
        if (!request.signal.aborted) controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
}

async function* textsOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) yield decoder.decode(chunk, { stream: true });
}

test("the first event arrives while the upstream is still silent about the rest", async () => {
  const more = Promise.withResolvers<void>();
  await using upstream = scriptedUpstream(
    eventStream(async (send) => {
      send('id: 1\nretry: 50\ndata: {"first":true}\n\n');
      await more.promise;
      send('data: {"last":true}\n\n');
    }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const answer = await post(
    `${world.url}/mcp`,
    await newBearer({ url: world.url }),
    toolCall("slow"),
  );
  expect(answer.headers.get("x-accel-buffering")).toBe("no");
  expect(answer.headers.get("cache-control")).toContain("no-transform");
  expect(answer.headers.get("content-length")).toBeNull();
  let text = "";
  for await (const part of textsOf(answer)) {
    text += part;
    if (part.includes("first")) more.resolve();
  }
  expect(text.replaceAll(/: \w+\n\n/g, "")).toBe(
    'id: 1\nretry: 50\ndata: {"first":true}\n\ndata: {"last":true}\n\n',
  );
});

test("a quiet stream is opened at once and gets comments, but never inside an event", async () => {
  const [before, inside, after] = [0, 1, 2].map(() => Promise.withResolvers<void>());
  await using upstream = scriptedUpstream(
    eventStream(async (send) => {
      // Bun sends an answer's head with its first byte.
      send(": up\n\n");
      await before!.promise;
      send("data: half of an ev");
      await inside!.promise;
      send("ent\n\n");
      await after!.promise;
    }),
  );
  await using world = await openWorld({
    environment: { ...pointedAt(upstream.url), STREAM_KEEPALIVE_MS: "200" },
  });
  const answer = await post(
    `${world.url}/mcp`,
    await newBearer({ url: world.url }),
    toolCall("slow"),
  );
  // Two comments stand before the event, two while half of it has come, and two after it; none inside.
  const [event, comment] = ["data: half of an event\n\n", ": keepalive\n\n"];
  let text = "";
  for await (const piece of textsOf(answer)) {
    text += piece;
    const [first = "", second = ""] = text.split(event);
    if (first.split(comment).length > 2) before!.resolve();
    if (first.split(comment).length > 4) inside!.resolve();
    if (second.split(comment).length > 2) after!.resolve();
  }
  expect(text).toStartWith(": open\n\n");
  expect(text).toContain(event);
});

test("a client that leaves in the middle of a stream takes the upstream's with it", async () => {
  const left = Promise.withResolvers<void>();
  await using upstream = scriptedUpstream(
    eventStream(async (send, signal) => {
      signal.addEventListener("abort", () => left.resolve());
      send("data: hello\n\n");
      await left.promise;
    }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const answer = await post(
    `${world.url}/mcp`,
    await newBearer({ url: world.url }),
    toolCall("slow"),
  );
  for await (const text of textsOf(answer)) if (text.includes("hello")) break;
  await left.promise;
});

test("a client that leaves before the answer has begun cancels the upstream's work", async () => {
  let [began, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using upstream = scriptedUpstream(async (request) => {
    request.signal.addEventListener("abort", () => left.resolve());
    began.resolve();
    await left.promise;
    return new Response();
  });
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  for (const waitMs of [0, 200]) {
    [began, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const leaving = new AbortController();
    const call = fetch(`${world.url}/mcp`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}` },
      body: JSON.stringify(toolCall("slow")),
      signal: leaving.signal,
    });
    await began.promise;
    await Bun.sleep(waitMs);
    leaving.abort();
    expect(
      await call.then(
        () => "answered",
        () => "left",
      ),
    ).toBe("left");
    await left.promise;
  }
});

test("GET streams carry Last-Event-ID up and ids down", async () => {
  await using upstream = scriptedUpstream(
    eventStream((send) => Promise.resolve(send("id: 43\ndata: {}\n\n"))),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const answer = await fetch(`${world.url}/mcp`, {
    headers: { authorization: `Bearer ${bearer}`, "last-event-id": "42" },
  });
  expect(await answer.text()).toContain("id: 43\ndata: {}\n\n");
  expect(upstream.seen[0]?.headers.get("last-event-id")).toBe("42");
});

test("2024-11-05: the endpoint is rewritten, works for its caller, and for nobody else", async () => {
  await using peer = await startSsePeer();
  await using world = await openWorld({ environment: pointedAt(peer.url) });
  const bearer = await newBearer({ url: world.url });
  const headers = { authorization: `Bearer ${bearer}` };
  const transport = new SSEClientTransport(new URL(`${world.url}/mcp/mercadolibre`), {
    requestInit: { headers },
    eventSourceInit: {
      fetch: (url, init) =>
        fetch(url, { ...init, headers: { ...headers, accept: "text/event-stream" } }),
    },
  });
  const client = new Client({ name: "old", version: "1" });
  await client.connect(transport);
  const result = await client.callTool({ name: "greet", arguments: {} });
  expect(JSON.stringify(result)).toContain("hello from 2024");
  const [endpoint = ""] = peer.endpoints;
  await client.close();
  const stream = await fetch(`${world.url}/mcp`, { headers });
  let text = "";
  for await (const part of textsOf(stream)) {
    text += part;
    if (text.includes("endpoint")) break;
  }
  const ours = /data: (\S+)/.exec(text)?.[1] ?? "";
  expect(ours).toStartWith("/mcp?sd=");
  expect(ours).not.toContain(endpoint);
  const theirs = await newBearer({ url: world.url, seller: "100200301" });
  const stolen = await post(`${world.url}${ours}`, theirs, toolCall("greet"));
  expect(stolen.status).toBe(404);
});

test("500 MB through a reader that stalls: the gateway's memory stays flat", async () => {
  const chunk = encoder.encode(`data: ${"x".repeat(64 * 1024)}\n\n`);
  const total = 500 * 1024 * 1024;
  let sent = 0;
  await using upstream = scriptedUpstream(
    () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            if (sent >= total) return controller.close();
            sent += chunk.length;
            controller.enqueue(chunk);
          },
        }),
        { headers: { "content-type": "text/event-stream" } },
      ),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  await using gateway = await startServe(world.environment);
  await post(`${gateway.url}/mcp/airtable/none`, bearer, toolCall("warm"));
  const answer = await post(`${gateway.url}/mcp`, bearer, toolCall("flood"));
  const reader = answer.body!.getReader();
  await reader.read();
  const before = rssOf(gateway.pid);
  // Until what stands between the two is full.
  let full = -1;
  await until(async () => {
    const isFull = sent === full;
    full = sent;
    await Bun.sleep(200);
    return isFull;
  }, "the upstream is held back");
  const whileStalled = rssOf(gateway.pid);
  expect(sent).toBeLessThan(total / 4);
  let received = 0;
  let most = whileStalled;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    received += value.length;
    if (received % 50 < 10) most = Math.max(most, rssOf(gateway.pid));
  }
  expect(received).toBeGreaterThan(total * 0.9);
  expect(most - before).toBeLessThan(60 * 1024);
}, 60_000);

test("2,000 idle streams leave short calls alone and are all closed upstream when the clients go", async () => {
  const open = { streams: 0 };
  await using upstream = scriptedUpstream(async (request) => {
    if (!(await request.text()).includes("listen"))
      return Response.json({ jsonrpc: "2.0", id: 1, result: {} });
    open.streams += 1;
    request.signal.addEventListener("abort", () => (open.streams -= 1));
    return eventStream((send) => (send("data: 1\n\n"), new Promise(() => undefined)))(request);
  });
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  await using gateway = await startServe(world.environment);
  const body = JSON.stringify(toolCall("listen"));
  const streams = await Promise.all(
    Array.from({ length: 2000 }, () => openRawStream(gateway.url, bearer, body)),
  );
  expect(open.streams).toBe(2000);
  expect((await post(`${gateway.url}/mcp`, bearer, toolCall("echo"))).status).toBe(200);
  for (const stream of streams) stream.end();
  for (let attempt = 0; open.streams > 0 && attempt < 100; attempt++) await Bun.sleep(50);
  expect(open.streams).toBe(0);
}, 60_000);
