import type { App } from "#src/app.ts";
import { createLately } from "#src/cache.ts";
import { type Lately, callsLately } from "./store.ts";

/**
 * What calls have met lately on any replica, for health and alerts. `failing`: more than half of at least ten calls
 * failed, of at least two agents. `troubled`: some failed, and none has gone well since.
 */
export type Outcome = Lately & { readonly state: "pass" | "troubled" | "failing" };

export type Outcomes = {
  /** By upstream; undefined while the database does not say. Five seconds old at most. */
  lately(): Promise<ReadonlyMap<string, Outcome> | undefined>;
};

const [fewestCalls, fewestCallers] = [10, 2];

/** See `createLately`. */
export function createOutcomes(app: Pick<App, "db" | "now">): Outcomes {
  const load = async () =>
    new Map((await callsLately(app.db)).map((row) => [row.upstream, outcomeOf(row)]));
  return { lately: createLately(app, load) };
}

/** What the figures of one upstream mean. */
export function outcomeOf(row: Lately): Outcome {
  const { calls, failed, callers, lastSuccess, lastFailure } = row;
  const isFailing = calls >= fewestCalls && callers >= fewestCallers && failed > calls / 2;
  if (isFailing) return { ...row, state: "failing" };
  const isLast =
    lastFailure !== null && (lastSuccess === null || lastFailure.getTime() > lastSuccess.getTime());
  // One account's dead credential says nothing about the server.
  const isOnes = row.code === "upstream_refuses_credential" && callers < fewestCallers;
  return { ...row, state: isLast && !isOnes ? "troubled" : "pass" };
}
