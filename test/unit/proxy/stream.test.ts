import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Sink } from "#src/http/exchange.ts";
import { type Reader, relayEvents } from "#src/proxy/stream.ts";
import { check, inPieces, pieceSizes } from "#test/support/property.ts";

type Event = { readonly type: string; readonly data: string };

/** What a browser makes of a stream (HTML, server-sent events, section 9.2.6). */
function eventsIn(text: string): readonly Event[] {
  const events: Event[] = [];
  let [type, data]: [string, string | undefined] = ["message", undefined];
  for (const line of text.split(/\r\n|\n|\r/).slice(0, -1)) {
    const [, field = line, value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "event") type = value;
    if (field === "data") data = data === undefined ? value : `${data}\n${value}`;
    if (line !== "") continue;
    if (data !== undefined) events.push({ type, data });
    [type, data] = ["message", undefined];
  }
  return events;
}

/** A relay whose reader reads everything. */
function open(reader: Partial<Reader> = {}) {
  const parts: { beat?: () => void; cut?: () => void; sink?: Sink; isCancelled: boolean } = {
    isCancelled: false,
  };
  const stream = relayEvents(
    {
      now: () => new Date(0),
      openStreams: {
        join(_, relay) {
          parts.beat = () => relay.beat();
          parts.cut = () => relay.cut("bearer_invalid");
        },
        cut: () => 0,
        stop: () => 0,
        count: () => 1,
        countOf: () => 1,
        ended: () => undefined,
        stopComments: () => undefined,
      },
    },
    {
      status: 200,
      headers: new Map(),
      flow(sink) {
        parts.sink = sink;
        return {
          pause: () => undefined,
          resume: () => undefined,
          cancel: () => void (parts.isCancelled = true),
        };
      },
    },
    {
      topics: ["grant:1"],
      since: 0,
      reader: { id: 1, acts: false, isAwaited: true, canResume: false, ...reader },
      endpoint: undefined,
      inspection: { caller: "a", id: null, status: 200, screen: undefined, ended: undefined },
    },
  );
  return { parts, text: () => new Response(stream).text() };
}

const lineEnds = fc.constantFrom("\n", "\r\n", "\r");
const lines = fc.constantFrom("", "", "data: {}", "data: x", "event: note", ": c", "retry: 5");
const streams = fc
  .array(fc.tuple(lines, lineEnds), { maxLength: 14 })
  .map((written) => written.map(([line, end]) => line + end).join(""));

test("comments that keep a stream alive never change an event, whenever they come", async () => {
  await check(
    fc.asyncProperty(streams, pieceSizes, async (whole, sizes) => {
      const { parts, text } = open();
      for (const piece of inPieces(Buffer.from(whole), sizes)) {
        parts.sink?.chunk(piece);
        parts.beat?.();
      }
      parts.sink?.end();
      expect(eventsIn(await text())).toEqual(eventsIn(whole));
    }),
    { cases: 500 },
  );
});

test("a stream between two events is kept alive, and one within an event is let be", async () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const { parts, text } = open();
    parts.beat?.();
    parts.sink?.chunk(Uint8Array.from(Buffer.from(`data: 1${end}`)));
    parts.beat?.();
    parts.sink?.chunk(Uint8Array.from(Buffer.from(end)));
    parts.beat?.();
    parts.sink?.end();
    const alive = ": keepalive\n\n";
    expect(await text()).toBe(`: open\n\n${alive}data: 1${end}${end}${alive}`);
  }
});

test("a stream that is cut anywhere ends with an error, and half an event is no message", async () => {
  await check(
    fc.asyncProperty(streams, pieceSizes, async (whole, sizes) => {
      const { parts, text } = open();
      for (const piece of inPieces(Buffer.from(whole), sizes)) parts.sink?.chunk(piece);
      parts.cut?.();
      const events = eventsIn(await text()).filter(({ type }) => type !== "interrupted");
      expect(events.slice(0, -1)).toEqual([...eventsIn(whole)]);
      expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({
        id: 1,
        error: { data: { code: "bearer_invalid" } },
      });
      expect(parts.isCancelled).toBeTrue();
    }),
    { cases: 500 },
  );
});

test("whoever can resume is told of no failure once an event id has passed, in whatever pieces it came", async () => {
  for (const end of ["\n", "\r"]) {
    for (const first of ["", `data: 0${end}${end}`, `event: message${end}`]) {
      const whole = Buffer.from(`${first}id: 7${end}data: 1${end}${end}`);
      for (let size = 1; size <= whole.length; size += 1) {
        const { parts, text } = open({ canResume: true });
        for (const piece of inPieces(whole, [size])) parts.sink?.chunk(piece);
        parts.cut?.();
        expect([size, await text()]).toEqual([size, `: open\n\n${whole.toString()}`]);
      }
    }
  }
});
