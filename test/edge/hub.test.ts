import { expect, test } from "bun:test";
import { createHub } from "#src/edge/stream/stream.ts";

test("the last 256 notifications are kept, and an id that is not among them is not known", () => {
  const hub = createHub("own");
  const first = hub.last();
  for (let count = 0; count < 256; count += 1) {
    hub.tell({ method: `notifications/${count}`, isFor: () => true });
  }
  expect(hub.since(first)).toHaveLength(256);
  hub.tell({ method: "notifications/256", isFor: () => true });
  expect(hub.since(first)).toBeUndefined();
  expect(hub.since("own-1")).toHaveLength(256);
  expect(hub.since(hub.last())).toEqual([]);
  for (const id of ["other-7", "own-", "own-x", "own--1", "own-1.5", "own-9999", ""]) {
    expect([id, hub.since(id)]).toEqual([id, undefined]);
  }
});
