/**
 * bun scripts/soak.ts [--seconds 600] [--streams 2000] [--calls 200] [--churn 10] [--json]
 *
 * Holds streams through one gateway process for a while, under steady calls, streams that come and go, clients that
 * leave in mid-call and credentials that have to be refreshed, and looks once a second at what the process holds.
 * Exit code 0 when nothing leaked and nothing broke, 1 when something did, and it says what. Loopback only, Linux.
 * A run of less than five minutes whose memory seems to grow goes on for half as long again, twice at most.
 * `--calls` and `--churn` are per second. With `--json` stdout is one JSON object and the table goes to stderr.
 */
import { parseArgs } from "node:util";
import { runOwned } from "./bench/owned.ts";
import { findFaults } from "./soak/faults.ts";
import { type Plan, soak } from "./soak/journey.ts";
import { renderReport } from "./soak/report.ts";

await runOwned("soak", async () => {
  const { isJson, ...plan } = readOptions();
  const outcome = await soak(plan);
  const faults = findFaults(outcome);
  const report = renderReport(outcome, faults);
  if (isJson) {
    console.error(report);
    // Whole, before the process ends.
    await Bun.write(
      Bun.stdout,
      `${JSON.stringify({ isGood: faults.length === 0, faults, ...outcome })}\n`,
    );
  } else {
    console.log(report);
  }
  process.exitCode = faults.length === 0 ? 0 : 1;
});

function readOptions(): Plan & { readonly isJson: boolean } {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "600" },
      streams: { type: "string", default: "2000" },
      calls: { type: "string", default: "200" },
      churn: { type: "string", default: "10" },
      json: { type: "boolean", default: false },
    },
  });
  return {
    seconds: readNumber("--seconds", values.seconds, { from: 15, to: 86_400 }),
    streams: readNumber("--streams", values.streams, { from: 1, to: 8000 }),
    callsPerSecond: readNumber("--calls", values.calls, { from: 1, to: 2000 }),
    churnPerSecond: readNumber("--churn", values.churn, { from: 1, to: 200 }),
    isJson: values.json,
  };
}

function readNumber(name: string, text: string, { from, to }: { from: number; to: number }) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw new Error(`${name} is a whole number from ${from} to ${to}, not ${text}`);
}
