import { expect, test } from "bun:test";
import { createBroker } from "#src/edge/stream/stream.ts";

test("the last 256 notifications are kept, and an id that is not among them is not known", () => {
  const broker = createBroker("own");
  const first = broker.last();
  for (let count = 0; count < 256; count += 1) {
    broker.tell({ method: `notifications/${count}`, isFor: () => true });
  }
  expect(broker.since(first)).toHaveLength(256);
  broker.tell({ method: "notifications/256", isFor: () => true });
  expect(broker.since(first)).toBeUndefined();
  expect(broker.since("own-1")).toHaveLength(256);
  expect(broker.since(broker.last())).toEqual([]);
  for (const id of ["other-7", "own-", "own-x", "own--1", "own-1.5", "own-9999", ""]) {
    expect([id, broker.since(id)]).toEqual([id, undefined]);
  }
});
