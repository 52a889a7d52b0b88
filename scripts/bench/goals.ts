import type { Readings } from "./readings.ts";
import { alignColumns } from "./table.ts";
import type { TargetName } from "./targets.ts";

type Goal = {
  readonly title: string;
  readonly bound: number;
  readonly digits: number;
  readonly atLeast?: true;
  read(readings: Readings, target: TargetName): number | undefined;
};

/** CPU per call of the gateway ÷ the barest Bun proxy's. */
export const costGoal = 1.45;

const goals: readonly Goal[] = [
  {
    title: "CPU per call, × bare's, 32 connections",
    bound: costGoal,
    digits: 2,
    read: (readings, target) => readings.ratio(target, "bare", "processor32"),
  },
  {
    title: "CPU per call, × bare's, 2,000 calls/s",
    bound: costGoal,
    digits: 2,
    read: (readings, target) => readings.ratio(target, "bare", "processorPaced"),
  },
  {
    title: "calls/s of nginx's, 32 connections",
    bound: 0.45,
    digits: 2,
    atLeast: true,
    read: (readings, target) => readings.ratio(target, "nginx", "calls32"),
  },
  {
    title: "calls/s with guards, × without",
    bound: 0.93,
    digits: 2,
    atLeast: true,
    read: (readings, target) =>
      target === "gateway" ? readings.ratio("gateway", "unguarded", "calls32") : undefined,
  },
  {
    title: "added p50, × bare's, 1 connection",
    bound: 1.3,
    digits: 2,
    read: (readings, target) => readings.ratio(target, "bare", "addedP50At1"),
  },
  {
    title: "p99, × bare's, 32 connections",
    bound: 2,
    digits: 2,
    read: (readings, target) => readings.ratio(target, "bare", "p99At32"),
  },
  {
    title: "first SSE event p50, × nginx's",
    bound: 1.7,
    digits: 2,
    read: (readings, target) => readings.ratio(target, "nginx", "firstEventP50"),
  },
  {
    title: "KB per idle stream",
    bound: 12,
    digits: 1,
    read: (readings, target) => readings.median(target, "streamKilobytes"),
  },
  {
    title: "streams left open",
    bound: 0,
    digits: 0,
    read: (readings, target) => readings.median(target, "leftOpen"),
  },
  {
    title: "MB resident after 60 s at full load",
    bound: 100,
    digits: 0,
    read: (readings, target) => readings.median(target, "residentMegabytes"),
  },
  {
    title: "tokens/s of node-oidc-provider's on Node",
    bound: 5,
    digits: 2,
    atLeast: true,
    read: (readings, target) =>
      target === "gateway" ? readings.median("oidcNode", "gatewayTimes") : undefined,
  },
  {
    title: "calls/s with a JWT, × a session's",
    bound: 0.97,
    digits: 3,
    atLeast: true,
    read: (readings, target) =>
      target === "gateway" ? readings.median("jwt", "timesSession") : undefined,
  },
  {
    title: "CPU of a tool over an API, × proxied",
    bound: 1.5,
    digits: 2,
    read: (readings, target) =>
      target === "gateway" ? readings.median("pack", "timesProxied") : undefined,
  },
  {
    title: "calls/s with dying tokens, × live ones'",
    bound: 0.5,
    digits: 3,
    atLeast: true,
    read: (readings, target) =>
      target === "gateway" ? readings.median("dying", "timesLive") : undefined,
  },
  {
    title: "calls failed while PostgreSQL restarts",
    bound: 0,
    digits: 0,
    read: (readings, target) =>
      target === "gateway" ? readings.median("restarted", "pacedFailures") : undefined,
  },
  {
    title: "longest call ms, PostgreSQL away for 12 s",
    bound: 1000,
    digits: 0,
    read: (readings, target) =>
      target === "gateway" ? readings.median("away", "pacedLongest") : undefined,
  },
];

const compared = ["gateway", "plain", "bare"] as const;

/** The goals beside what the gateway, the plain function and the barest proxy reached in the same run. */
export function renderGoals(readings: Readings): string {
  const rows = goals.map((goal) =>
    [goal.title, `${goal.atLeast ? "≥" : "≤"} ${goal.bound}`].concat(
      compared.map((target) => reached(goal, goal.read(readings, target))),
    ),
  );
  return alignColumns([["goal", "", ...compared], ...rows]);
}

function reached(goal: Goal, value: number | undefined): string {
  if (value === undefined) return "not measured";
  const isMet = goal.atLeast ? value >= goal.bound : value <= goal.bound;
  return `${value.toFixed(goal.digits)} ${isMet ? "met   " : "missed"}`;
}
