/**
 * bun scripts/bench/main.ts [--seconds N] [--rounds N] [--only calls|streams|tokens|refresh|restart]
 *
 * Measures short MCP calls and streams directly, through nginx, through the barest Bun proxy and through the gateway,
 * access tokens beside node-oidc-provider's, calls whose tokens die beside calls whose tokens live, and calls before,
 * during and after a restart of PostgreSQL: round-robin in one run, because only ratios within one run mean anything.
 * Loopback only; it passes no judgement.
 */
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { measureCallRounds, measureFirstEventRounds } from "./call-rounds.ts";
import type { Plan } from "./call-rounds.ts";
import { measureDyingTokens } from "./dying-tokens.ts";
import { renderGoals } from "./goals.ts";
import { measureIdleStreams } from "./idle-streams.ts";
import type { Bench } from "./idle-streams.ts";
import { referenceNames } from "./issuers.ts";
import { startLoadGenerator } from "./load-generator.ts";
import { runOwned, startScript } from "./owned.ts";
import { Readings } from "./readings.ts";
import { measureRestart } from "./restart.ts";
import { renderTable } from "./table.ts";
import { startTarget, targetNames } from "./targets.ts";
import type { Target } from "./targets.ts";
import { measureTokens } from "./tokens.ts";

const jobs = ["calls", "streams", "tokens", "refresh", "restart"] as const;
type Job = (typeof jobs)[number];
type Options = Plan & { readonly wanted: ReadonlySet<Job> };

await runOwned("bench", () => bench(readOptions()));

async function bench({ wanted, ...plan }: Options): Promise<void> {
  const startedAt = performance.now();
  const readings = new Readings();
  const busy = loadavg()[0] ?? 0;
  if (busy > availableParallelism() / 4) {
    readings.notes.push(`the machine was busy before the start (load ${busy.toFixed(1)})`);
  }
  const upstream = await startScript("upstream.ts", []);
  const run = await startLoadGenerator();
  const bench = { run, upstreamUrl: upstream.url, plan, readings };
  if (wanted.has("calls") || wanted.has("streams")) await measureTargets(bench, wanted);
  if (wanted.has("tokens")) {
    console.error(`tokens: ${plan.rounds} rounds of ${plan.seconds} s at 32 connections`);
    await measureTokens(bench);
    console.log(`\n${renderTable(readings, [...referenceNames, "issuer"])}`);
    console.log(`\n${renderTable(readings, ["session", "jwt"])}`);
  }
  if (wanted.has("refresh")) {
    console.error(`refresh: ${plan.rounds} rounds of ${plan.seconds} s at 32 connections`);
    await measureDyingTokens(bench);
    console.log(`\n${renderTable(readings, ["live", "dying"])}`);
  }
  if (wanted.has("restart")) {
    console.error(
      "restart: PostgreSQL stops and starts, then is killed and stays away for a while",
    );
    await measureRestart(bench);
    console.log(`\n${renderTable(readings, ["before", "restarted", "away", "after"])}`);
  }
  console.log(`\n${renderGoals(readings)}`);
  for (const note of readings.notes) console.log(`note: ${note}`);
  console.error(`\n${Math.round((performance.now() - startedAt) / 1000)} s`);
}

async function measureTargets(bench: Bench, wanted: ReadonlySet<Job>): Promise<void> {
  const { run, upstreamUrl, plan, readings } = bench;
  const targets = await startTargets(upstreamUrl);
  const names = targets.map((target) => target.name);
  if (wanted.has("calls")) {
    console.error(`calls: ${plan.rounds} rounds of ${plan.seconds} s at 1, 32, 128 connections`);
    await measureCallRounds(run, targets, plan, readings);
  }
  if (wanted.has("streams")) {
    console.error("streams: first events");
    await measureFirstEventRounds(run, targets, plan, readings);
  }
  for (const target of targets) await target.stop();
  if (wanted.has("streams")) {
    console.error("streams: idle, one fresh target after the other");
    await measureIdleStreams({ ...bench, names });
  }
  console.log(`\n${renderTable(readings, names, names.includes("nginx") ? "nginx" : "direct")}`);
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
  const wanted = jobs.filter((job) => only === undefined || only === job);
  if (wanted.length === 0) throw new Error(`--only is one of ${jobs.join(", ")}`);
  return {
    seconds: numberBetween("--seconds", values.seconds, { from: 0.2, to: 30 }),
    rounds: Math.round(numberBetween("--rounds", values.rounds, { from: 1, to: 20 })),
    wanted: new Set(wanted),
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
