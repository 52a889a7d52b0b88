import { expect, test } from "bun:test";
import { type OpenStream, createOpenStreams } from "#src/proxy/open-streams.ts";

test("streams are counted and ended by what they rest on, also when the lists of others have been forgotten", () => {
  const streams = createOpenStreams(() => 0, 1000);
  streams.stopComments();
  const told: string[] = [];
  const open = (topics: readonly string[], name: string): OpenStream => {
    const stream: OpenStream = {
      isAwaited: name.startsWith("call"),
      quietSince: 0,
      place: undefined,
      cut(because) {
        told.push(`${name} ${because}`);
        stream.place?.leave();
      },
      beat: () => undefined,
    };
    streams.join(topics, stream, 1);
    return stream;
  };
  const own = ["all", "session:1", "session:1"];
  const [call, listener] = [open(own, "call 1"), open(own, "listener 1")];
  // Every list is another one, as when each call has several tools.
  for (let other = 0; other < 500; other += 1) {
    open(["all", `session:other-${other}`], "gone").place?.leave();
  }
  open([...own], "call 2");
  expect(streams.count()).toBe(3);
  expect(streams.countOf("session:1")).toBe(3);
  expect(streams.countOf("session:other-1")).toBe(0);
  expect(streams.stop("listening")).toBe(1);
  expect(streams.cut("session:1")).toBe(2);
  expect(streams.cut("all")).toBe(0);
  expect(streams.count()).toBe(0);
  expect(told).toEqual([
    "listener 1 gateway_stopping",
    "call 1 bearer_invalid",
    "call 2 bearer_invalid",
  ]);
  call.place?.leave();
  listener.place?.leave();
  expect(streams.countOf("session:1")).toBe(0);
});

test("a list that is used once leaves nothing behind, however many come; the costs of a stream do not grow", () => {
  const streams = createOpenStreams(() => 0, 1000);
  streams.stopComments();
  const stream = (): OpenStream => ({
    isAwaited: true,
    quietSince: 0,
    place: undefined,
    cut: () => undefined,
    beat: () => undefined,
  });
  const lists: WeakRef<readonly string[]>[] = [];
  for (let each = 0; each < 100; each += 1) {
    const [list, one, other] = [["all", "session:1"], stream(), stream()];
    lists.push(new WeakRef(list));
    streams.join(list, one, 1);
    streams.join(list, other, 1);
    one.place?.leave();
    one.place?.leave();
    expect(streams.countOf("session:1")).toBe(1);
    other.place?.leave();
  }
  expect([streams.count(), streams.countOf("session:1"), streams.countOf("all")]).toEqual([
    0, 0, 0,
  ]);
  return new Promise<void>((resolve) => {
    setImmediate(() => {
      Bun.gc(true);
      expect(lists.filter((list) => list.deref() !== undefined).length).toBeLessThan(10);
      resolve();
    });
  });
});
