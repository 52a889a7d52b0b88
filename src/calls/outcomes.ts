import type { App } from "#src/app.ts";
import { createCache } from "#src/cache.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/once.ts";
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

const longestMs = 1000;
const [fewestCalls, fewestCallers] = [10, 2];

/** Asks the database at most every five seconds, and waits for it for one. */
export function createOutcomes(app: Pick<App, "db" | "now">): Outcomes {
  const now = () => app.now().getTime();
  const known = createCache<ReadonlyMap<string, Outcome>>({
    freshMs: 5000,
    staleMs: 0,
    size: 1,
    now,
  });
  const late = () => new Failure("database_unavailable");
  const load = async () => {
    const rows = await within(longestMs, callsLately(app.db), late);
    return new Map(rows.map((row) => [row.upstream, outcomeOf(row)]));
  };
  return { lately: () => known.get("all", load).catch(() => undefined) };
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
