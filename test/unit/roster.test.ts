import { expect, test } from "bun:test";
import { edenGC } from "bun:jsc";
import * as fc from "fast-check";
import { type Place, Roster, createDeadlines, withinAbout } from "#src/clock.ts";
import { type OpenStream, createOpenStreams } from "#src/proxy/open-streams.ts";
import { rounds } from "#test/support/rounds.ts";

test("whoever has joined and not left is there, once, in whatever order the others leave", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 60 }), { maxLength: 200 }), (steps) => {
      const roster = new Roster<number>();
      const places: { readonly value: number; readonly place: Place }[] = [];
      const expected = new Set<number>();
      for (const [value, step] of steps.entries()) {
        const leaving = places[step];
        // Whoever has left before leaves again.
        if (leaving !== undefined) {
          leaving.place.leave();
          expected.delete(leaving.value);
        } else {
          places.push({ value, place: roster.join(value) });
          expected.add(value);
        }
      }
      expect(roster.size).toBe(expected.size);
      expect(roster.all().toSorted((a, b) => a - b)).toEqual([...expected]);
    }),
    { numRuns: rounds(300, 5000) },
  );
});

/** Each begins something that holds `payload`, and returns how it ends. */
const kinds: Readonly<Record<string, () => (payload: object) => () => void>> = {
  "a call with a deadline": () => {
    const deadlines = createDeadlines(() => 0);
    deadlines.stop();
    return (payload) => {
      const deadline = deadlines.open();
      const running = { payload, expire: () => undefined };
      deadline.set(1000, running);
      return () => deadline.close();
    };
  },
  "a body that is waited for": () => (payload) => {
    const body = Promise.withResolvers<object>();
    void withinAbout(60_000, body.promise, () => new Error("late"));
    return () => body.resolve(payload);
  },
  "an event stream": () => {
    const streams = createOpenStreams(() => 0, 1000);
    streams.stopComments();
    const topics = ["all", "session:1"];
    return (payload) => {
      const stream: OpenStream & { readonly payload: object } = {
        payload,
        isAwaited: true,
        quietSince: 0,
        place: undefined,
        cut: () => undefined,
        beat: () => undefined,
      };
      streams.join(topics, stream, 1);
      return () => stream.place?.leave();
    };
  },
};

test.each(Object.entries(kinds))(
  "most of what %s held goes with a young collection once it is over",
  async (_, kind) => {
    const begin = kind();
    const ends: (() => void)[] = [];
    const held: WeakRef<object>[] = [];
    for (let call = 0; call < 4000; call += 1) {
      const payload = { call };
      held.push(new WeakRef(payload));
      ends.push(begin(payload));
      if (ends.length > 32) ends.shift()?.();
      // A weak reference holds what it was made of until its job is over.
      if (call % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
      if (call % 400 === 399) edenGC();
    }
    for (const end of ends) end();
    await new Promise((resolve) => setImmediate(resolve));
    edenGC();
    // What was under way at each of the ten collections has grown old.
    expect(held.filter((each) => each.deref() !== undefined).length).toBeLessThan(1200);
  },
);
