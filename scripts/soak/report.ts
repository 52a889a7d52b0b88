import { alignColumns } from "../bench/table.ts";
import { descriptorKinds } from "./descriptors.ts";
import { boundsFor } from "./growth.ts";
import type { Outcome } from "./journey.ts";
import type { Sample } from "./samples.ts";

/** For people: how it went, what was seen, and the verdict as the last line. */
export function renderReport(outcome: Outcome, faults: readonly string[]): string {
  const { plan, program, machine } = outcome;
  const title = `soak: ${plan.streams} streams, ${plan.callsPerSecond} calls/s, ${plan.churnPerSecond}/s of each that come and go, ${outcome.seconds} s; ${program}; ${machine.processors} processors, load ${machine.load.toFixed(1)}`;
  const verdict =
    faults.length === 0
      ? "nothing leaked, nothing broke"
      : faults.map((fault) => `FAULT: ${fault}`).join("\n");
  const lists = [
    `errors: ${counted(outcome.errors)}`,
    `log lines of level warn or error: ${counted(outcome.complaints)}`,
  ].join("\n");
  const parts = [courseTable(outcome.samples), factTable(outcome), descriptorTable(outcome), lists];
  return [title, ...parts, verdict].join("\n\n");
}

const rowsAtMost = 12;

function courseTable(samples: readonly Sample[]): string {
  const every = Math.max(1, Math.ceil(samples.length / rowsAtMost));
  const shown = samples.filter((_, at) => at % every === 0 || at === samples.length - 1);
  const rows = shown.map((sample) =>
    [
      sample.second.toFixed(0),
      (sample.kilobytes / 1024).toFixed(1),
      sample.descriptors,
      sample.streams,
      sample.calls,
      sample.errors,
      sample.refreshes,
    ].map(String),
  );
  const head = ["second", "MB resident", "descriptors", "streams", "calls", "errors", "refreshes"];
  return alignColumns([head, ...rows]);
}

function factTable(outcome: Outcome): string {
  const { memory, streams, calls, descriptors } = outcome;
  const bounds = boundsFor(outcome.plan.seconds);
  return alignColumns([
    [
      "memory, slope after the first third",
      `${signed(memory.slopeKilobytesPerMinute)} ± ${memory.standardError.toFixed(0)} KB/min`,
      atMost(bounds.slopeKilobytesPerMinute),
    ],
    ["memory, noise around that line", `${memory.noiseKilobytes.toFixed(0)} KB`],
    [
      "memory, from the middle third to the last",
      `${signed(memory.grownKilobytes)} KB`,
      atMost(bounds.grownKilobytes),
    ],
    ["streams held, cut, silent", `${streams.held}, ${streams.cut}, ${streams.silent}`],
    ["streams left open upstream", String(streams.leftUpstream)],
    ["calls answered", String(calls.count)],
    [
      "call p50, p99, longest",
      `${calls.p50Millis.toFixed(1)}, ${calls.p99Millis.toFixed(1)}, ${calls.longestMillis.toFixed(1)} ms`,
    ],
    ["streams opened and dropped", String(outcome.streamsDropped)],
    ["clients that left in mid-call", String(outcome.clientsLeft)],
    [
      "refreshes, refresh tokens sent twice",
      `${outcome.refreshes}, ${outcome.refreshTokensReused}`,
    ],
    ["processor time", `${(100 * outcome.processorShare).toFixed(0)} % of one`],
    [
      "descriptors back after the clients left",
      descriptors.settledMillis === undefined
        ? "never"
        : `${(descriptors.settledMillis / 1000).toFixed(1)} s`,
    ],
  ]);
}

function descriptorTable({ descriptors: { idle, most, left } }: Outcome): string {
  const rows = [...descriptorKinds, "all" as const].map((kind) =>
    [kind, idle[kind], most[kind], left[kind]].map(String),
  );
  return alignColumns([["descriptors", "idle before", "under load", "clients gone"], ...rows]);
}

function counted(counts: Readonly<Record<string, number>>): string {
  const words = Object.entries(counts).map(([kind, count]) => `${count} × ${kind}`);
  return words.length === 0 ? "none" : words.join(", ");
}

function atMost(bound: number | undefined): string {
  return bound === undefined ? "not judged" : `≤ ${bound}`;
}

function signed(kilobytes: number): string {
  return `${kilobytes < 0 ? "−" : "+"}${Math.abs(kilobytes).toFixed(0)}`;
}
