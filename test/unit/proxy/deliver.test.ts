import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Cancel } from "#src/clock.ts";
import type { Incoming, Suits } from "#src/http/exchange.ts";
import { deliver } from "#src/proxy/deliver.ts";
import { createOpenStreams } from "#src/proxy/open-streams.ts";
import { SseSplitter, dataOf, isOneEvent, messageIn } from "#src/proxy/sse.ts";
import { anyText, check } from "#test/support/property.ts";

type Told = { readonly message: string; readonly size: number };
type Delivered = {
  readonly text: string;
  readonly told: readonly Told[];
  readonly isWhole: boolean;
};

const opening = ": open\n\n";
const json = (id: unknown) => `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{}}`;

/** What a client gets of an event stream that has ended, and what policy is told of it. */
async function delivered(
  body: Uint8Array<ArrayBuffer>,
  hasCome: boolean,
  ended?: string,
): Promise<Delivered> {
  const told: Told[] = [];
  const openStreams = createOpenStreams(() => 1000, 60_000);
  if (ended !== undefined) openStreams.cut(ended);
  const context = {
    plan: { endingTopics: ["grant:1"] },
    tools: [],
    caller: { key: "a" },
    address: () => "",
  };
  const answer: Incoming = {
    status: 200,
    headers: new Map([["content-type", "text/event-stream"]]),
    flow(sink) {
      let isBegun = false;
      const resume = () => {
        if (isBegun) return;
        isBegun = true;
        sink.chunk(body);
        sink.end();
      };
      return { pause: () => undefined, cancel: () => undefined, resume };
    },
    ...(hasCome && {
      taken: (most: number, suits?: Suits) =>
        body.length <= most && suits?.(body) !== false ? body : undefined,
    }),
  };
  const delivery = {
    cancel: new Cancel(),
    requestId: "r",
    startedAt: 1,
    reader: { id: 1, acts: true, isAwaited: true, canResume: true },
    inspection: {
      caller: "a",
      id: 1,
      status: 200,
      screen: undefined,
      ended: (message: Buffer, size: number) =>
        void told.push({ message: message.toString(), size }),
    },
    decision: { headers: {} },
    context,
  };
  const app = { now: () => new Date(0), openStreams };
  const response = await deliver(app as never, answer, delivery as never);
  const text = await response.text();
  openStreams.stopComments();
  const isWhole = !text.startsWith(opening);
  return { text: isWhole ? text : text.slice(opening.length), told, isWhole };
}

const line = fc.oneof(
  fc.constantFrom("event: message", "id: 7", ": comment", "", "data", "data:", "\ufeff", "x\0"),
  fc.constantFrom(1, 2, "1", null).map((id) => `data: ${json(id)}`),
  fc.constantFrom('data: {"result":{"tools":[]}}', 'data: {"\\u0069d":2,"result":{}}', "data: x"),
  anyText,
);
const end = fc.constantFrom("\n", "\n", "\r\n", "\r");
/** An empty line before all, which readers pass over, is rare by chance. */
const start = fc.constantFrom("", "", "", "\n", "\r\n", "\n\ufeff");
const events = fc
  .tuple(start, fc.array(fc.tuple(line, end), { maxLength: 6 }))
  .map(([first, lines]) => first + lines.flat().join("") + (lines.at(-1)?.[1] ?? ""));

test("a stream that has come whole is answered as one that flows, byte for byte", async () => {
  let whole = 0;
  await check(
    fc.asyncProperty(events, async (text) => {
      const body = new Uint8Array(Buffer.from(text));
      const [flowed, taken] = [await delivered(body, false), await delivered(body, true)];
      whole += Number(taken.isWhole);
      expect({ text: taken.text, told: taken.told }).toEqual({
        text: flowed.text,
        told: flowed.told,
      });
    }),
    { cases: 5000 },
  );
  expect(whole).toBeGreaterThan(100);
}, 60_000);

test("an answer that has come whole is sent whole, and one that is another's is not", async () => {
  for (const [lineEnd, before] of [
    ["\n", "event: message\n"],
    ["\r\n", "id: 1\r\nevent: message\r\n"],
    ["\n", ""],
  ]) {
    const bytes = (id: number) =>
      new Uint8Array(Buffer.from(`${before}data: ${json(id)}${lineEnd}${lineEnd}`));
    expect(await delivered(bytes(1), true)).toMatchObject({
      isWhole: true,
      told: [{ message: json(1) }],
    });
    const other = await delivered(bytes(2), true);
    expect(other).toMatchObject({ isWhole: false, told: [] });
    expect(other.text).toContain("upstream_invalid");
  }
});

test("whoever ended while the server worked gets nothing, however the answer comes", async () => {
  const body = new Uint8Array(Buffer.from(`data: ${json(1)}\n\n`));
  for (const hasCome of [true, false]) {
    const { text, told } = await delivered(body, hasCome, "grant:1");
    expect(text).toContain("bearer_invalid");
    expect(told).toEqual([]);
  }
});

test("the message of an event is found where it lies", () => {
  check(
    fc.property(events, (text) => {
      expect(messageIn(Buffer.from(text)).toString()).toBe(
        Buffer.from(dataOf(new TextDecoder().decode(Buffer.from(text)))).toString(),
      );
    }),
    { cases: 20_000 },
  );
});

test("what is taken for one event is neither several nor a part of one", () => {
  check(
    fc.property(events, (text) => {
      const bytes = new Uint8Array(Buffer.from(text));
      const [first, more] = new SseSplitter().cut(bytes);
      const isOne = first?.isEnd === true && more === undefined;
      expect(isOneEvent(bytes) && !isOne).toBeFalse();
    }),
    { cases: 20_000 },
  );
});
