import { expect, test } from "bun:test";
import { newBearer } from "#test/support/browser-like.ts";
import { rssOf } from "#test/support/memory.ts";
import { post, toolCall } from "#test/support/mcp.ts";
import { startServe } from "#test/support/process.ts";
import { isLong } from "#test/support/rounds.ts";
import { until } from "#test/support/until.ts";
import { pointedAt, scriptedUpstream } from "#test/support/upstream.ts";
import { openWorld } from "#test/support/world.ts";

/** As an operator runs it: every guard as it is by default. */
const defaults = {
  SMARTDASH_LIMITS: undefined,
  SMARTDASH_BUDGETS: undefined,
  SMARTDASH_LOOPS: undefined,
  SMARTDASH_CALLS_AT_ONCE: undefined,
  SMARTDASH_STREAMS_AT_ONCE: undefined,
  SMARTDASH_BODY_MIB_AT_ONCE: undefined,
  SMARTDASH_BODY_MIB_IN_ALL: undefined,
};
const mebibyte = 1024 * 1024;
const head = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":';

/** Bodies of 3.9 MB, and one digit in 60 KB. */
const bodies: readonly (readonly [name: string, body: string])[] = [
  ["small objects", `${head}[${Array(400_000).fill('{"a":1}').join()}]}}}`],
  ["small arrays", `${head}[${Array(1_300_000).fill("[]").join()}]}}}`],
  ["a number of 60,000 digits", `${head}1${"0".repeat(60_000)}1}}}`],
  // What is let through comes last: its memory is given back in a while.
  [
    "as many values as may be",
    `${head}[${Array(9_900)
      .fill(`{"b${"x".repeat(380)}":1e999}`)
      .join()}]}}}`,
  ],
  ["one long text", `${head}"${"\\u0000".repeat(650_000)}"}}}`],
];

function send(url: string, bearer: string, body: string): Promise<number> {
  return fetch(`${url}/mcp`, {
    method: "POST",
    headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
    body,
  }).then(
    async (answer) => (await answer.arrayBuffer(), answer.status),
    () => 0,
  );
}

const quantile = (sorted: readonly number[], part: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;

test("DoS-3: bodies that cost more than their size keep nobody else waiting, and take no memory", async () => {
  await using upstream = scriptedUpstream(() =>
    Response.json({ jsonrpc: "2.0", id: 1, result: { content: [] } }),
  );
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const attacker = await newBearer({ url: world.url });
  const other = await newBearer({ url: world.url, seller: "100200301" });
  await using gateway = await startServe({
    ...world.environment,
    ...defaults,
    // As on a server of 1 GiB: with more, the engine collects later, and what it takes says nothing.
    BUN_JSC_forceRAMSize: String(1024 * mebibyte),
    // The attack goes on for longer than they would let it.
    SMARTDASH_LIMITS: "agent=100000/60s",
    SMARTDASH_BUDGETS: "off",
    SMARTDASH_LOOPS: "off",
  });
  const timed = async () => {
    const began = performance.now();
    const answer = await post(`${gateway.url}/mcp`, other, toolCall("y", { began }));
    await answer.arrayBuffer();
    expect(answer.status).toBe(200);
    return performance.now() - began;
  };
  for (const [name, body] of bodies) {
    // What else this machine does now is nobody's attack.
    let calm = 0;
    for (let count = 0; count < 20; count += 1) calm = Math.max(calm, await timed());
    const latencies: number[] = [];
    const statuses = new Set<number>();
    let mostKilobytes = 0;
    const over = new AbortController();
    const attack = Array.from({ length: 4 }, async () => {
      for (let count = 0; count < (isLong ? 100 : 10); count += 1)
        statuses.add(await send(gateway.url, attacker, body));
    });
    const others = (async () => {
      while (!over.signal.aborted || latencies.length < 20) {
        latencies.push(await timed());
        mostKilobytes = Math.max(mostKilobytes, rssOf(gateway.pid));
        await Bun.sleep(5);
      }
    })();
    await Promise.all(attack);
    over.abort();
    await others;
    const sorted = latencies.toSorted((a, b) => a - b);
    const [half, most] = [quantile(sorted, 0.5), quantile(sorted, 0.99)];
    const megabytes = Math.round(mostKilobytes / 1024);
    console.log(
      `${name}: ${[...statuses].join(" ")}; others p50 ${half.toFixed(0)} ms, p99 ${most.toFixed(0)} ms, ${megabytes} MB`,
    );
    for (const status of statuses) expect([200, 400, 403, 429, 503]).toContain(status);
    // What is as big as may be, and is let through, costs what it costs: decoding, judging, sending 3.9 MB.
    const isRefused = !statuses.has(200);
    expect(megabytes).toBeLessThan(isRefused ? 400 : 512);
    if (!isLong || !isRefused) continue;
    expect([half < Math.max(50, calm), most < Math.max(250, 5 * calm)]).toEqual([true, true]);
  }
}, 120_000);

test("DoS-3: what a slow upstream holds up is bounded in bytes, for each caller and in all", async () => {
  const released = Promise.withResolvers<void>();
  await using upstream = scriptedUpstream(async () => {
    await released.promise;
    return Response.json({ jsonrpc: "2.0", id: 1, result: { content: [] } });
  });
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const attacker = await newBearer({ url: world.url });
  await using gateway = await startServe({ ...world.environment, ...defaults });
  const body = `${head}"${"x".repeat(3.9 * mebibyte)}"}}}`;
  const before = rssOf(gateway.pid);
  const sent = Array.from({ length: 40 }, () => send(gateway.url, attacker, body));
  const outcomes: number[] = [];
  for (const one of sent) void one.then((status) => outcomes.push(status));
  await until(
    () => outcomes.length === 36,
    () => `${outcomes.length} of 36 are refused`,
  );
  const grown = Math.round((rssOf(gateway.pid) - before) / 1024);
  console.log(`40 calls of 3.9 MB to a slow upstream: 36 refused, memory +${grown} MB`);
  expect(new Set(outcomes)).toEqual(new Set([429]));
  expect(rssOf(gateway.pid) / 1024).toBeLessThan(400);
  released.resolve();
  await Promise.all(sent);
  expect(outcomes.filter((status) => status === 200)).toHaveLength(4);
  // Their room is there again.
  expect(await send(gateway.url, attacker, body)).toBe(200);
}, 60_000);

test("DoS-3: who may not come in is told before anything of a body is read", async () => {
  await using upstream = scriptedUpstream(() => new Response());
  await using world = await openWorld({ environment: pointedAt(upstream.url) });
  const bearer = await newBearer({ url: world.url });
  await using gateway = await startServe({
    ...world.environment,
    ...defaults,
    SMARTDASH_LIMITS: "agent=2/600s",
  });
  const broken = "x".repeat(mebibyte);
  // A body that nobody can use counts as a request, too.
  const statuses = [];
  for (let count = 0; count < 4; count += 1) statuses.push(await send(gateway.url, bearer, broken));
  expect(statuses).toEqual([400, 400, 429, 429]);
}, 30_000);
