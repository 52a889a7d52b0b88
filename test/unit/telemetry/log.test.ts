import { expect, test } from "bun:test";
import { createLog } from "#src/telemetry/log.ts";

function writing() {
  const pieces: string[] = [];
  const state = { isRead: true };
  const write = (text: string) => {
    if (state.isRead) pieces.push(text);
    return state.isRead;
  };
  const log = createLog({ level: "info", now: () => new Date(0), write });
  const say = (times: number) => {
    for (let time = 0; time < times; time += 1) log.info("said");
  };
  const lines = () => pieces.map((piece) => piece.trimEnd().split("\n").length);
  return { log, state, pieces, say, lines };
}

test("a burst is written as it comes, in pieces of 64 lines", () => {
  const { log, say, lines } = writing();
  say(63);
  expect(lines()).toEqual([]);
  say(1);
  expect(lines()).toEqual([64]);
  say(130);
  log.flush();
  expect(lines()).toEqual([64, 64, 64, 2]);
});

test("lines that nobody takes are counted, and told when somebody reads again", () => {
  const { log, state, pieces, say, lines } = writing();
  state.isRead = false;
  say(200);
  log.flush();
  expect(pieces).toEqual([]);
  state.isRead = true;
  say(1);
  log.flush();
  expect(lines()).toEqual([2]);
  const [first, second] = pieces.join("").trim().split("\n");
  expect(JSON.parse(first ?? "")).toMatchObject({ event: "said" });
  expect(JSON.parse(second ?? "")).toMatchObject({ event: "log_dropped", dropped: 200 });
});

test("whoever hears of a line may say something, and a writer that fails keeps none", () => {
  const { log, pieces, say, lines } = writing();
  let heard = 0;
  log.watch(() => {
    heard += 1;
    if (heard < 3) say(64);
  });
  say(64);
  log.flush();
  expect(lines()).toEqual([64, 64, 64]);
  expect(pieces.length).toBe(3);
  const failing = createLog({
    level: "info",
    now: () => new Date(0),
    write: () => {
      throw new Error("no");
    },
  });
  for (let line = 0; line < 63; line += 1) failing.info("said");
  expect(() => failing.info("said")).toThrow("no");
  expect(() => failing.info("said")).not.toThrow();
  expect(() => failing.flush()).toThrow("no");
});
