import { referenceNames } from "./issuers.ts";
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

const goals: readonly Goal[] = [
  {
    title: "calls/s of nginx's, 32 connections",
    bound: 0.4,
    digits: 2,
    atLeast: true,
    read: (readings, target) => readings.ratio(target, "nginx", "calls32"),
  },
  {
    title: "CPU µs per call, 32 connections",
    bound: 50,
    digits: 1,
    read: (readings, target) => readings.median(target, "processor32"),
  },
  {
    title: "added p50 ms, 1 connection",
    bound: 0.15,
    digits: 3,
    read: (readings, target) => readings.median(target, "addedP50At1"),
  },
  {
    title: "guards: added p50 ms, 1 connection",
    bound: 0.15,
    digits: 3,
    read: (readings, target) => (target === "gateway" ? guardsCost(readings) : undefined),
  },
  {
    title: "calls/s with guards, × without",
    bound: 0.8,
    digits: 2,
    atLeast: true,
    read: (readings, target) =>
      target === "gateway" ? readings.ratio("gateway", "unguarded", "calls32") : undefined,
  },
  {
    title: "first SSE event p50, × nginx's",
    bound: 2.5,
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
    title: "tokens/s of node-oidc-provider's",
    bound: 5,
    digits: 2,
    atLeast: true,
    read: (readings, target) => (target === "gateway" ? timesReference(readings) : undefined),
  },
  {
    title: "calls/s with a JWT, × a session's",
    bound: 0.95,
    digits: 3,
    atLeast: true,
    read: (readings, target) =>
      target === "gateway" ? readings.median("jwt", "timesSession") : undefined,
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

/** In the same run: what a call takes longer with every guard at work. */
function guardsCost(readings: Readings): number | undefined {
  const [on, off] = [readings.median("gateway", "p50At1"), readings.median("unguarded", "p50At1")];
  return on === undefined || off === undefined ? undefined : on - off;
}

/** Against the runtime by which node-oidc-provider is faster. */
function timesReference(readings: Readings): number | undefined {
  const times = referenceNames.map((name) => readings.median(name, "gatewayTimes"));
  const known = times.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

const compared = ["gateway", "bare"] as const;

/** The goals beside what the gateway reached, and what the barest gateway reached in the same run. */
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
