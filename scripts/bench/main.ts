/**
 * bun scripts/bench/main.ts [--seconds N] [--rounds N] [--only calls|streams]
 *
 * Measures short MCP calls and streams directly, through nginx, through the barest Bun proxy and through the gateway:
 * round-robin in one run, because only ratios within one run mean anything. Loopback only; it passes no judgement.
 */
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { measureCallRounds, measureFirstEventRounds } from "./call-rounds.ts";
import type { Plan } from "./call-rounds.ts";
import { renderGoals } from "./goals.ts";
import { measureIdleStreams } from "./idle-streams.ts";
import { startLoadGenerator } from "./load-generator.ts";
import { startScript, stopEverything } from "./owned.ts";
import { Readings } from "./readings.ts";
import { renderTable } from "./table.ts";
import { startTarget, targetNames } from "./targets.ts";
import type { Target } from "./targets.ts";

type Options = Plan & { readonly only: "calls" | "streams" | undefined };

let interruptedWith: number | undefined;
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => {
    interruptedWith = code;
    void stopEverything().finally(() => process.exit(code));
  });
}

try {
  await bench(readOptions());
} catch (error) {
  // What an interruption breaks is no news.
  if (interruptedWith === undefined) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  }
  process.exitCode = interruptedWith ?? 1;
} finally {
  await stopEverything();
}
process.exit();

async function bench({ only, ...plan }: Options): Promise<void> {
  const startedAt = performance.now();
  const readings = new Readings();
  const busy = loadavg()[0] ?? 0;
  if (busy > availableParallelism() / 4) {
    readings.notes.push(`the machine was busy before the start (load ${busy.toFixed(1)})`);
  }
  const upstream = await startScript("upstream.ts", []);
  const run = await startLoadGenerator();
  const targets = await startTargets(upstream.url);
  const names = targets.map((target) => target.name);
  if (only !== "streams") {
    console.error(`calls: ${plan.rounds} rounds of ${plan.seconds} s at 1, 32, 128 connections`);
    await measureCallRounds(run, targets, plan, readings);
  }
  if (only !== "calls") {
    console.error("streams: first events");
    await measureFirstEventRounds(run, targets, plan, readings);
  }
  for (const target of targets) await target.stop();
  if (only !== "calls") {
    console.error("streams: idle, one fresh target after the other");
    await measureIdleStreams({ run, upstreamUrl: upstream.url, names, plan, readings });
  }
  console.log(`\n${renderTable(readings, names, names.includes("nginx") ? "nginx" : "direct")}`);
  console.log(`\n${renderGoals(readings)}`);
  for (const note of readings.notes) console.log(`note: ${note}`);
  console.error(`\n${Math.round((performance.now() - startedAt) / 1000)} s`);
}

async function startTargets(upstreamUrl: string): Promise<readonly Target[]> {
  const targets: Target[] = [];
  for (const name of targetNames) {
    const target = await startTarget(name, upstreamUrl);
    if (target !== undefined) targets.push(target);
  }
  return targets;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "1" },
      rounds: { type: "string", default: "5" },
      only: { type: "string" },
    },
  });
  const { only } = values;
  if (only !== undefined && only !== "calls" && only !== "streams") {
    throw new Error("--only is calls or streams");
  }
  return {
    seconds: numberBetween("--seconds", values.seconds, { from: 0.2, to: 30 }),
    rounds: Math.round(numberBetween("--rounds", values.rounds, { from: 1, to: 20 })),
    only,
  };
}

function numberBetween(
  name: string,
  text: string,
  { from, to }: { from: number; to: number },
): number {
  const value = Number(text);
  if (value >= from && value <= to) return value;
  throw new Error(`${name} is a number from ${from} to ${to}, not ${text}`);
}
