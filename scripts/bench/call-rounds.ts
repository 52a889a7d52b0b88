import type { CallsAnswer } from "./jobs.ts";
import type { RunJob } from "./load-generator.ts";
import { echoCall, toldCall } from "./messages.ts";
import { family } from "./processes.ts";
import type { Readings } from "./readings.ts";
import type { Target } from "./targets.ts";

export type Plan = { readonly seconds: number; readonly rounds: number };

const warmMillis = 250;
const connectionCounts = [1, 32, 128] as const;
const perSecond = 2000;
const firstEventSamples = 400;

/** Short calls: in every round each target takes its turn at 1, at 32 and at 128 connections. */
export async function measureCallRounds(
  run: RunJob,
  targets: readonly Target[],
  plan: Plan,
  readings: Readings,
): Promise<void> {
  // The first load of all compiles code on every side; it counts for nobody.
  for (const target of targets) await callsThrough(run, target, 32, 0.75);
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const connections of connectionCounts) {
      let direct: CallsAnswer | undefined;
      for (const target of targets) {
        const answer = await callsThrough(run, target, connections, plan.seconds);
        if (target.name === "direct") direct = answer;
        note(readings, target, connections, answer);
        if (connections === 128) continue;
        readings.add(target.name, `p50At${connections}`, answer.p50Micros / 1000);
        readings.add(target.name, `p99At${connections}`, answer.p99Micros / 1000);
        if (target.name === "direct" || direct === undefined) continue;
        const addedP50 = answer.p50Micros - direct.p50Micros;
        const addedP99 = answer.p99Micros - direct.p99Micros;
        readings.add(target.name, `addedP50At${connections}`, addedP50 / 1000);
        readings.add(target.name, `addedP99At${connections}`, addedP99 / 1000);
      }
    }
    for (const target of targets) {
      await notePaced(run, target, plan, readings);
      const told = await callsThrough(run, { ...target, body: toldCall }, 32, plan.seconds);
      readings.add(target.name, "processorTold", told.processorMicrosPerCall);
    }
  }
}

/** The same number of calls a second for all: what a target costs when it is not as busy as it can be. */
async function notePaced(
  run: RunJob,
  target: Target,
  plan: Plan,
  readings: Readings,
): Promise<void> {
  const { url, headers, pid, name } = target;
  const call = { url, headers, body: echoCall, expects: '"result"' };
  const measureMillis = plan.seconds * 1000;
  const pids = family(pid);
  const answer = await run("pacedCalls", { ...call, perSecond, measureMillis, pids });
  readings.add(name, "processorPaced", answer.processorMicrosPerCall);
  readings.add(name, "p50Paced", answer.p50Millis);
  readings.add(name, "p99Paced", answer.p99Millis);
  if (answer.failures === 0) return;
  const words = `${answer.failures} calls failed, first: ${answer.firstFailure}`;
  readings.notes.push(`${name}, ${perSecond} calls/s: ${words}`);
}

/** First events: in every round each target opens streams one after the other. */
export async function measureFirstEventRounds(
  run: RunJob,
  targets: readonly Target[],
  plan: Plan,
  readings: Readings,
): Promise<void> {
  // As in a process that has served for a while: what a stream shares with a call is compiled, and then what it does not.
  for (const target of targets) {
    await callsThrough(run, target, 32, 0.75);
    for (let batch = 0; batch < 3; batch += 1) await firstEventsOf(run, target, 0.5);
  }
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const target of targets) {
      const answer = await firstEventsOf(run, target, plan.seconds);
      readings.add(target.name, "firstEventP50", answer.p50Micros / 1000);
      readings.add(target.name, "firstEventP99", answer.p99Micros / 1000);
    }
  }
}

export async function callsThrough(
  run: RunJob,
  target: Pick<Target, "url" | "headers" | "pid"> & { readonly body?: string },
  connections: number,
  seconds: number,
): Promise<CallsAnswer> {
  const { url, headers, pid, body = echoCall } = target;
  const measureMillis = seconds * 1000;
  const pids = family(pid);
  const call = { url, headers, body, expects: '"result"' };
  return run("calls", { ...call, connections, warmMillis, measureMillis, pids });
}

export function firstEventsOf(run: RunJob, target: Target, seconds: number) {
  const { url, headers } = target;
  const limitMillis = seconds * 1000;
  return run("firstEvents", { url, headers, samples: firstEventSamples, limitMillis });
}

function note(
  readings: Readings,
  target: Target,
  connections: (typeof connectionCounts)[number],
  answer: CallsAnswer,
): void {
  readings.add(target.name, `calls${connections}`, answer.callsPerSecond);
  readings.add(target.name, `processor${connections}`, answer.processorMicrosPerCall);
  if (answer.failures === 0) return;
  readings.notes.push(
    `${target.name}, ${connections} connections: ${answer.failures} calls failed, first: ${answer.firstFailure}`,
  );
}
