import { setTimeout as sleep } from "node:timers/promises";
import type { App } from "#src/app.ts";
import type { OpenStreams } from "#src/calls/open-streams.ts";
import type { Handle, Serving } from "#src/runtime/runtime.ts";

/** How a gateway goes without anybody behind a proxy noticing. */
export type Leaving = {
  readonly isLeaving: () => boolean;
  /** Every answer, from the moment of leaving on with `Connection: close`. */
  around(handle: Handle): Handle;
  leave(): Promise<void>;
};

type Going = Pick<App, "config" | "log"> & { readonly openStreams: OpenStreams };

/** At most, and never more than a quarter of DRAIN_MS. */
const farewellMs = 1000;
/** Turns of the event loop without a request make a lull. */
const stillTurns = 5;

/**
 * First the streams that only listen are told and end, `/readyz` says no, and answers tell their connections
 * to close, so that a proxy does not send one more call down a connection that is going away. Then
 * nothing new is taken, and what runs may finish within DRAIN_MS. What is left is told and ends.
 */
export function createLeaving(app: Going, serving: Serving): Leaving {
  let isLeaving = false;
  let activity = 0;
  /** A moment in which nothing begins or ends: a request that has been read already must not lose its connection. */
  const lull = async (limitMs: number) => {
    const deadline = performance.now() + limitMs;
    let seen = activity;
    for (let still = 0; still < stillTurns && performance.now() < deadline; still += 1) {
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (activity !== seen) still = -1;
      seen = activity;
    }
  };
  return {
    isLeaving: () => isLeaving,
    around: (handle) => (request, peer) => {
      const answer = handle(request, peer);
      if (!isLeaving) return answer;
      activity += 1;
      if (!(answer instanceof Promise)) return closing(answer);
      return answer.then((given) => {
        activity += 1;
        return closing(given);
      });
    },
    async leave() {
      isLeaving = true;
      app.openStreams.stop("listening");
      const { drainMs } = app.config;
      const farewell = Math.min(farewellMs, drainMs / 4);
      await sleep(farewell);
      app.openStreams.stop("listening");
      await lull(farewell);
      await serving.stop(drainMs - farewell, () => {
        const cut = app.openStreams.stop("all");
        if (cut > 0) app.log.warn("streams_cut", { count: cut });
      });
    },
  };
}

function closing(answer: Response): Response {
  answer.headers.set("connection", "close");
  return answer;
}
