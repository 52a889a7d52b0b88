import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { post, toolCall } from "#test/support/mcp.ts";
import { type Guarded, call, listed, openGuarded, reading, tool } from "./setup.ts";
import { until } from "#test/support/until.ts";

const mark = "UNSEEN-DEFINITION";
const evil = JSON.stringify([tool("evil", reading, mark)]);
const approved = JSON.stringify([tool("steady")]);
const list = `{"jsonrpc":"2.0","id":1,"result":{"tools":${evil}}}`;
const filler = JSON.stringify("x".repeat(20_000));

const json = (body: BodyInit) =>
  new Response(body, { headers: { "content-type": "application/json" } });
const events = (body: BodyInit) =>
  new Response(body, { headers: { "content-type": "text/event-stream" } });

/** In pieces, with a moment between them; what is left of a stream may follow. */
function slowly(...pieces: readonly string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async start(controller) {
      for (const piece of pieces) {
        controller.enqueue(new TextEncoder().encode(piece));
        await Bun.sleep(30);
      }
      controller.close();
    },
  });
}

/** Answers that some reader takes for a list of tools which nobody has judged. */
const hidden: Readonly<Record<string, () => Response>> = {
  "a result in other case beside an honest one": () =>
    json(`{"jsonrpc":"2.0","id":1,"result":{"tools":${approved}},"Result":{"tools":${evil}}}`),
  "tools in other case beside honest ones": () =>
    json(`{"jsonrpc":"2.0","id":1,"result":{"tools":${approved},"Tools":${evil}}}`),
  "the same as an event": () =>
    events(`data: {"jsonrpc":"2.0","id":1,"result":{"tools":${approved},"Tools":${evil}}}\n\n`),
  "a batch of which one is honest": () =>
    json(
      `[{"jsonrpc":"2.0","id":1,"result":{"tools":${approved}}},{"jsonrpc":"2.0","id":2,"Result":{"Tools":${evil}}}]`,
    ),
  "a long s in capital hex, in much text": () =>
    json(String.raw`{"jsonrpc":"2.0","id":1,"result":{"pad":${filler},"tool\u017F":${evil}}}`),
  "UTF-16": () => json(Buffer.from(list, "utf16le")),
  "UTF-16 in pieces of unknown length": () =>
    json(
      new ReadableStream({
        start(controller) {
          controller.enqueue(Buffer.from(list, "utf16le"));
          controller.close();
        },
      }),
    ),
  "UTF-16 as an event stream": () => events(Buffer.from(`data: ${list}\n\n`, "utf16le")),
  ...Object.fromEntries(
    ["\u2028", "\u2029", "\u0085", "\v", "\f", "\u001c"].map((end) => [
      `a line end of Python's in a comment: ${JSON.stringify(end)}`,
      () => events(`: x${end}data: ${list}\n\n`),
    ]),
  ),
  "a CR that is white space for who ends lines at LF": () =>
    events(`data: {"jsonrpc":"2.0","id":1,"result":\r{"tools":${evil}}\r}\n\n`),
  "two CR in the same way": () =>
    events(`data: {"jsonrpc":"2.0","id":1,"result":\r\r{"tools":${evil}}}\n\n`),
  "a field in other case": () => events(`Data: ${list}\n\n`),
  "a byte order mark before the first field": () => events(`\ufeffdata: ${list}\n\n`),
  "one line of several, for who reads each": () => events(`data: [1,\ndata: ${list}\ndata: ]\n\n`),
  "one line of several, beside an honest list": () =>
    events(
      `data: {"jsonrpc":"2.0","id":1,"result":{"tools":${approved}},"x":\ndata: ${list}\ndata: }\n\n`,
    ),
  ...Object.fromEntries(
    [
      `{"jsonrpc":"2.0","id":1,"result":{"tools":${approved},"tools":${evil}}}`,
      `{"jsonrpc":"2.0","id":1,"x":NaN,"result":{"tools":${evil}}}`,
      Buffer.from(list, "utf16le"),
    ].map((body, at) => [
      `as plain text, for who reads whatever comes: ${at}`,
      () => new Response(body, { headers: { "content-type": "text/plain" } }),
    ]),
  ),
  "an event that never ends": () => events(slowly(`data: ${list}\n`)),
  "a big event that never ends": () =>
    events(slowly(`data: ${list.replace("[", `["${"x".repeat(1_100_000)}",`)}\n`)),
  "blanks behind it, one by one": () => json(slowly(list, " ", " ")),
};

async function answerTo(guarded: Guarded, method: "tools/list" | "tools/call"): Promise<string> {
  const message =
    method === "tools/list" ? { jsonrpc: "2.0", id: 1, method } : toolCall("steady", {}, 1);
  try {
    const answer = await post(guarded.url, guarded.bearer, message);
    let text = "";
    const decoder = new TextDecoder();
    for await (const bytes of answer.body ?? []) text += decoder.decode(bytes, { stream: true });
    // Of another encoding every other byte is a NUL.
    return text.replaceAll("\0", "");
  } catch {
    return "";
  }
}

test("no reader gets a list that nobody has judged, however it is written, as any answer", async () => {
  await using guarded = await openGuarded({ tools: [tool("steady")] });
  await listed(guarded);
  for (const [how, answer] of Object.entries(hidden)) {
    guarded.offer.list = answer;
    guarded.offer.call = answer;
    for (const method of ["tools/list", "tools/call"] as const) {
      const text = await answerTo(guarded, method);
      expect([how, method, text.includes(mark)]).toEqual([how, method, false]);
    }
  }
}, 60_000);

test("what only looks like it passes: other words, other line ends, tools that are named in a text", async () => {
  await using guarded = await openGuarded({ tools: [tool("steady")] });
  await listed(guarded);
  const harmless = { jsonrpc: "2.0", id: 1, result: { content: [], text: 'has "tools" in it' } };
  const text = JSON.stringify(harmless);
  for (const answer of [
    () => json(text),
    () => json(slowly(text.slice(0, 40), text.slice(40))),
    () => events(`data: ${text}\r\r`),
    () => events(`event: message\rdata: ${text}\r\n\r\n`),
    () => events(slowly("data: ", text, "\n\n")),
    () => json(`{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"tools":${approved}}}}`),
  ]) {
    guarded.offer.call = answer;
    const got = await answerTo(guarded, "tools/call");
    expect(got).toContain(
      got.includes("structuredContent") ? "steady" : String.raw`has \"tools\" in it`,
    );
  }
});

test("a number is compared as it is sent, not as a double would have it", async () => {
  const schemaOf = (number: string) =>
    `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"pay","inputSchema":{"const":${number}}}]}}`;
  await using guarded = await openGuarded({ list: () => json(schemaOf("20000000000000000")) });
  expect(await listed(guarded)).toEqual(["pay"]);
  guarded.offer.list = () => json(schemaOf("20000000000000001"));
  expect(await listed(guarded)).toEqual([]);
});

test("of two definitions under one name in one list, the new one is seen and held", async () => {
  await using guarded = await openGuarded({ tools: [tool("a")] });
  await listed(guarded);
  guarded.offer.tools = [tool("a", undefined, mark), tool("a")];
  const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  expect(await (await post(guarded.url, guarded.bearer, list)).text()).not.toContain(mark);
  expect((await call(guarded, "a")).code).toBe("tool_held");
});

test("an upstream with more tools than are kept cannot change one unseen, nor fill the database", async () => {
  await using guarded = await openGuarded({ tools: [tool("a")] });
  const { db } = guarded.world.app;
  await listed(guarded);
  const many = Array.from({ length: 2500 }, (_, at) => tool(`many_${at}`));
  guarded.offer.tools = [tool("a"), ...many];
  await listed(guarded);
  for (let version = 0; version < 12; version += 1) {
    guarded.offer.tools = [tool("a", undefined, `${mark} ${version}`), ...many];
    expect(await listed(guarded)).toEqual([]);
    expect((await call(guarded, "a")).code).toBe("tool_held");
  }
  expect((await call(guarded, "many_2400")).code).toBe("tool_held");
  const [kept] = await db.execute<{ tools: number; versions: number }>(sql`
    select count(distinct name)::int as tools, count(*) filter (where name = 'a')::int as versions
    from tool_definitions`);
  expect(kept).toEqual({ tools: 2000, versions: 6 });
  // What it showed first is approved still.
  guarded.offer.tools = [tool("a")];
  expect(await listed(guarded)).toEqual(["a"]);
}, 30_000);

test("a definition that nobody could look at is not kept whole", async () => {
  await using guarded = await openGuarded({ tools: [tool("a")] });
  await listed(guarded);
  guarded.offer.tools = [tool("a", undefined, "x".repeat(70_000))];
  expect(await listed(guarded)).toEqual([]);
  const [row] = await guarded.world.app.db.execute<{ definition: string }>(
    sql`select definition from tool_definitions where state = 'held'`,
  );
  expect(row?.definition).toMatch(/^.{0,40}"tooLong":"70\d\d\d characters/);
});

test("an answer of unknown length counts as under way until its end", async () => {
  await using guarded = await openGuarded(
    { tools: [tool("steady")] },
    { SMARTDASH_CALLS_AT_ONCE: "2" },
  );
  await listed(guarded);
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let asked = 0;
  guarded.offer.call = () =>
    json(
      new ReadableStream({
        async start(controller) {
          asked += 1;
          controller.enqueue(new TextEncoder().encode('{"jsonrpc":"2.0",'));
          await released;
          controller.enqueue(new TextEncoder().encode('"id":1,"result":{"content":[]}}'));
          controller.close();
        },
      }),
    );
  const open = [1, 2].map((id) =>
    post(guarded.url, guarded.bearer, toolCall("steady", { id }, id)),
  );
  await until(() => asked === 2, "both calls");
  expect((await call(guarded, "steady", { id: 3 })).code).toBe("too_many_at_once");
  release();
  for (const answer of await Promise.all(open)) await answer.text();
  await until(async () => (await call(guarded, "steady", { id: 4 })).status === 200, "room");
});

test("a limit of a tool counts each call of a batch once", async () => {
  await using guarded = await openGuarded(
    { tools: [tool("steady")] },
    { SMARTDASH_LIMITS: "agent=100/60s,tool=60/6000s" },
  );
  await listed(guarded);
  const batch = Array.from({ length: 50 }, (_, id) => toolCall("steady", { id }, id));
  expect((await post(guarded.url, guarded.bearer, batch)).status).toBeLessThan(300);
  for (let id = 0; id < 10; id += 1)
    expect((await call(guarded, "steady", { id })).code).toBeUndefined();
  expect((await call(guarded, "steady", { id: 10 })).code).toBe("rate_limited");
});
