import { expect, test } from "bun:test";
import { createLog } from "#src/telemetry/log.ts";

function clocked() {
  const state = { now: 1_800_000_000_000 };
  let text = "";
  const log = createLog({
    level: "info",
    now: () => new Date(state.now),
    write: (more) => {
      text += more;
      return true;
    },
  });
  const lines = () => {
    log.flush();
    const all = text.trim().split("\n").filter(Boolean);
    text = "";
    return all.map((line) => {
      const { time: _time, ...rest } = JSON.parse(line) as Record<string, unknown>;
      return rest;
    });
  };
  return { log, lines, pass: (seconds: number) => void (state.now += seconds * 1000) };
}

test("a condition that lasts is told when it begins, once a minute with how often it was, and when it ends", () => {
  const { log, lines, pass } = clocked();
  for (let second = 0; second < 150; second += 1) {
    log.lasting("tallies_not_merged", { code: "x" });
    pass(1);
  }
  log.over("tallies_not_merged");
  log.over("tallies_not_merged");
  expect(lines()).toEqual([
    { level: "warn", event: "tallies_not_merged", code: "x" },
    { level: "warn", event: "tallies_not_merged", code: "x", times: 61, seconds: 60 },
    { level: "warn", event: "tallies_not_merged", code: "x", times: 121, seconds: 120 },
    {
      level: "info",
      event: "condition_over",
      condition: "tallies_not_merged",
      times: 150,
      seconds: 150,
    },
  ]);
});

test("what nobody has reported for five minutes begins anew, and what was not told does not end", () => {
  const { log, lines, pass } = clocked();
  log.over("journal_unavailable");
  log.lasting("event_not_stored", { code: "x" });
  pass(301);
  log.lasting("event_not_stored", { code: "x" });
  expect(lines()).toEqual(
    Array.from({ length: 2 }, () => ({ level: "warn", event: "event_not_stored", code: "x" })),
  );
});
