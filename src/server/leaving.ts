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

/**
 * First the streams that only listen are told and end, `/readyz` says no, and answers tell their connections
 * to close, so that a proxy does not send one more call down a connection that is going away. Then
 * nothing new is taken, and what runs may finish within DRAIN_MS. What is left is told and ends.
 */
export function createLeaving(app: Going, serving: Serving): Leaving {
  let isLeaving = false;
  return {
    isLeaving: () => isLeaving,
    around: (handle) => (request, peer) => {
      const answer = handle(request, peer);
      if (!isLeaving) return answer;
      return answer instanceof Promise ? answer.then(closing) : closing(answer);
    },
    async leave() {
      isLeaving = true;
      app.openStreams.stop("listening");
      const { drainMs } = app.config;
      const farewell = Math.min(farewellMs, drainMs / 4);
      await sleep(farewell);
      app.openStreams.stop("listening");
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
