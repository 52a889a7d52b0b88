/**
 * bun scripts/bench/main.ts [--seconds N] [--rounds N] [--only calls|streams|memory|tokens|refresh|shop|restart|steps] [--save]
 *
 * Measures short MCP calls and streams directly, through nginx, through the barest Bun proxy, a plain function and the gateway,
 * access tokens beside node-oidc-provider's, calls whose tokens die beside calls whose tokens live, and calls before,
 * during and after a restart of PostgreSQL: round-robin in one run, because only ratios within one run mean anything.
 * Loopback only; it passes no judgement. `--save` writes docs/performance.md.
 */
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { measureCallRounds, measureFirstEventRounds } from "./call-rounds.ts";
import type { Plan } from "./call-rounds.ts";
import { measureDyingTokens } from "./dying-tokens.ts";
import { renderGoals } from "./goals.ts";
import { measureIdleStreams } from "./idle-streams.ts";
import { stolenSeconds } from "./processes.ts";
import { measureMemory } from "./memory.ts";
import type { Bench } from "./idle-streams.ts";
import { referenceNames } from "./issuers.ts";
import { startLoadGenerator } from "./load-generator.ts";
import { runOwned, startScript } from "./owned.ts";
import { Readings } from "./readings.ts";
import { saveReport } from "./report.ts";
import { measureRestart } from "./restart.ts";
import { measureShop } from "./shop.ts";
import { measureSteps } from "./steps.ts";
import { renderTable } from "./table.ts";
import { startTarget, targetNames } from "./targets.ts";
import type { Target } from "./targets.ts";
import { measureTokens } from "./tokens.ts";

type Options = Plan & { readonly wanted: ReadonlySet<string>; readonly isSaved: boolean };

/** A part of the bench: what it says first, and the tables that come of it. */
type Job = {
  readonly words: (plan: Plan) => string;
  readonly work: (bench: Bench) => Promise<readonly string[]>;
};

const rounds = ({ rounds: count, seconds }: Plan) =>
  `${count} rounds of ${seconds} s at 32 connections`;

const jobs: Readonly<Record<string, Job>> = {
  calls: {
    words: (plan) => `${rounds(plan)}, at 1, at 128, and at 2,000 calls/s`,
    work: (bench) =>
      measureTargets(bench, ({ run, plan, readings }, targets) =>
        measureCallRounds(run, targets, plan, readings),
      ),
  },
  streams: {
    words: () => "first events, then idle streams, one fresh target after the other",
    async work(bench) {
      const { run, plan, readings } = bench;
      await measureTargets(bench, (_, targets) =>
        measureFirstEventRounds(run, targets, plan, readings),
      );
      await measureIdleStreams({ ...bench, names: targetNames });
      return [renderTable(readings, targetNames, "nginx")];
    },
  },
  memory: {
    words: () => "a minute at full load for each of three",
    async work(bench) {
      await measureMemory(bench);
      return [renderTable(bench.readings, ["bare", "plain", "gateway"])];
    },
  },
  tokens: {
    words: rounds,
    async work(bench) {
      await measureTokens(bench);
      const { readings } = bench;
      return [
        renderTable(readings, [...referenceNames, "issuer"]),
        renderTable(readings, ["session", "jwt"]),
      ];
    },
  },
  refresh: {
    words: rounds,
    async work(bench) {
      await measureDyingTokens(bench);
      return [renderTable(bench.readings, ["live", "dying"])];
    },
  },
  shop: {
    words: rounds,
    async work(bench) {
      await measureShop(bench);
      return [renderTable(bench.readings, ["proxied", "pack"])];
    },
  },
  restart: {
    words: () => "PostgreSQL stops and starts, then is killed and stays away for a while",
    async work(bench) {
      await measureRestart(bench);
      return [renderTable(bench.readings, ["before", "restarted", "away", "after"])];
    },
  },
  steps: { words: () => "in this process", work: async () => [await measureSteps()] },
};

await runOwned("bench", () => bench(readOptions()));

async function bench({ wanted, isSaved, ...plan }: Options): Promise<void> {
  const [startedAt, stolenBefore] = [performance.now(), stolenSeconds()];
  const readings = new Readings();
  const tables: string[] = [];
  const busy = loadavg()[0] ?? 0;
  if (busy > availableParallelism() / 4) {
    readings.notes.push(`the machine was busy before the start (load ${busy.toFixed(1)})`);
  }
  const upstream = await startScript("upstream.ts", []);
  const run = await startLoadGenerator();
  for (const [name, { words, work }] of Object.entries(jobs)) {
    if (!wanted.has(name)) continue;
    console.error(`${name}: ${words(plan)}`);
    // A table shows what its part has read.
    const own = new Readings();
    const found = await work({ run, upstreamUrl: upstream.url, plan, readings: own });
    readings.take(own);
    for (const table of found) console.log(`\n${table}`);
    tables.push(...found);
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const stolen = Math.round(stolenSeconds() - stolenBefore);
  readings.notes.push(
    `other guests of the machine had its processors for ${stolen} s of ${seconds}`,
  );
  const goals = renderGoals(readings);
  console.log(`\n${goals}`);
  for (const note of readings.notes) console.log(`note: ${note}`);
  if (isSaved) await saveReport({ plan, goals, tables, notes: readings.notes });
  console.error(`\n${seconds} s`);
}

/** Does `work` with every target that there is, and ends them. */
async function measureTargets(
  bench: Bench,
  work: (bench: Bench, targets: readonly Target[]) => Promise<void>,
): Promise<readonly string[]> {
  const targets = await startTargets(bench.upstreamUrl);
  const names = targets.map((target) => target.name);
  await work(bench, targets);
  for (const target of targets) await target.stop();
  const base = names.includes("nginx") ? "nginx" : "direct";
  return [renderTable(bench.readings, names, base)];
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
      save: { type: "boolean", default: false },
    },
  });
  const { only } = values;
  if (only !== undefined && values.save)
    throw new Error("--save is for a whole run, without --only");
  const names = Object.keys(jobs);
  const wanted = names.filter((job) => only === undefined || only === job);
  if (wanted.length === 0) throw new Error(`--only is one of ${names.join(", ")}`);
  return {
    seconds: numberBetween("--seconds", values.seconds, { from: 0.2, to: 30 }),
    rounds: Math.round(numberBetween("--rounds", values.rounds, { from: 1, to: 20 })),
    wanted: new Set(wanted),
    isSaved: values.save,
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
