import { expect, test } from "bun:test";
import { newBearer } from "#test/support/browser-like.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";
import { modernMeta } from "./setup.ts";
import { until } from "#test/support/until.ts";

const encoder = new TextEncoder();
const eventStream = { headers: { "content-type": "text/event-stream" } };

test("DoS-1: one caller's streams and calls are bounded, and another caller does not notice", async () => {
  await using upstream = scriptedUpstream(
    () =>
      new Response(
        new ReadableStream({ start: (out) => out.enqueue(encoder.encode(": x\n\n")) }),
        eventStream,
      ),
  );
  await using world = await openWorld({
    environment: { ...pointedAt(upstream.url), SMARTDASH_STREAMS_AT_ONCE: "8" },
  });
  const [mine, yours] = [
    await newBearer({ url: world.url }),
    await newBearer({ url: world.url, seller: "100200301" }),
  ];
  const open = (bearer: string) =>
    fetch(`${world.url}/mcp`, {
      headers: { authorization: `Bearer ${bearer}`, accept: "text/event-stream" },
    });
  const streams: Response[] = [];
  for (let count = 0; count < 30; count += 1) streams.push(await open(mine));
  expect(streams.filter(({ status }) => status === 200)).toHaveLength(8);
  expect(streams.filter(({ status }) => status === 429)).toHaveLength(22);
  expect(upstream.seen).toHaveLength(8);
  const other = await open(yours);
  expect(other.status).toBe(200);
  for (const { body } of [...streams, other]) await body?.cancel();
});

test("DoS-1: an upstream that never stops is read no faster than its reader reads", async () => {
  let sent = 0;
  const piece = encoder.encode(`data: ${"x".repeat(64 * 1024)}\n\n`);
  await using upstream = scriptedUpstream(
    () =>
      new Response(
        new ReadableStream({
          pull(out) {
            sent += piece.length;
            out.enqueue(piece);
          },
        }),
        eventStream,
      ),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const answer = await post(`${world.url}/mcp`, await newBearer({ url: world.url }), toolCall("x"));
  const reader = answer.body!.getReader();
  await reader.read();
  let before = -1;
  // Until what stands between the two is full.
  for (let round = 0; round < 100 && sent !== before; round += 1) {
    before = sent;
    await Bun.sleep(100);
  }
  expect(sent).toBe(before);
  expect(sent).toBeLessThan(64 * 1024 * 1024);
  for (let read = 0; read < 4 * 1024 * 1024;) read += (await reader.read()).value?.length ?? 0;
  await until(() => sent > before, "the upstream sends on");
  await reader.cancel();
});

test("DoS-1: one giant event passes piece by piece, and a quiet stream hears comments", async () => {
  const whole = 24 * 1024 * 1024;
  let left = whole;
  await using upstream = scriptedUpstream(() => {
    const body = new ReadableStream({
      start: (out) => out.enqueue(encoder.encode("data: ")),
      pull(out) {
        if (left === 0) return;
        left -= 64 * 1024;
        out.enqueue(new Uint8Array(64 * 1024).fill(0x78));
      },
    });
    return new Response(body, eventStream);
  });
  await using world = await openWorld({
    environment: { ...pointedAt(upstream.url), STREAM_KEEPALIVE_MS: "200" },
  });
  const answer = await post(`${world.url}/mcp`, await newBearer({ url: world.url }), toolCall("x"));
  const reader = answer.body!.getReader();
  let read = 0;
  while (read < whole) {
    read += (await reader.read()).value?.length ?? 0;
    // It has begun to arrive long before it has left.
    if (read > 1024 * 1024 && read < 2 * 1024 * 1024) expect(left).toBeGreaterThan(0);
  }
  expect(read).toBeGreaterThanOrEqual(whole);
  await reader.cancel();
});

test("DoS-2: a modern client that leaves has cancelled; for an older one nothing is made up", async () => {
  const left: string[] = [];
  await using upstream = scriptedUpstream((request) => {
    const which = request.headers.get("mcp-protocol-version") ?? "";
    request.signal.addEventListener("abort", () => left.push(which));
    return new Response(
      new ReadableStream({ start: (out) => out.enqueue(encoder.encode(": x\n\n")) }),
      eventStream,
    );
  });
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  const modern = {
    ...toolCall("x"),
    params: {
      name: "x",
      _meta: { ...modernMeta, "io.modelcontextprotocol/clientCapabilities": {} },
    },
  };
  for (const [message, headers] of [
    [modern, { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "x" }],
    [toolCall("x"), { "mcp-protocol-version": "2025-06-18" }],
  ] as const) {
    const answer = await post(`${world.url}/mcp`, bearer, message, headers);
    const reader = answer.body!.getReader();
    await reader.read();
    await reader.cancel();
  }
  for (let round = 0; round < 40 && left.length < 2; round += 1) await Bun.sleep(50);
  // The connection goes with its reader; what it means is the upstream's to know.
  expect(left).toContain("2026-07-28");
  const said = upstream.seen.map(({ body }) => body).join("\n");
  expect(said).not.toContain("notifications/cancelled");
  expect(upstream.seen).toHaveLength(2);
});
