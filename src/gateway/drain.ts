import { setTimeout as sleep } from "node:timers/promises";
import type { App } from "#src/app.ts";
import type { OpenStreams } from "#src/proxy/open-streams.ts";
import type { Handle, RunningServer } from "#src/runtime/runtime.ts";

/** How a gateway goes without anybody behind a proxy noticing. */
type Drain = {
  readonly isDraining: () => boolean;
  /** @param handle Answers meanwhile; each of its answers closes its connection. */
  leave(handle: Handle): Promise<void>;
};

type Deps = Pick<App, "config" | "log"> & { readonly openStreams: OpenStreams };

/** At most, and never more than a quarter of DRAIN_MS. */
const farewellMs = 1000;
/** So many milliseconds without a request make a lull. */
const stillTurns = 3;

/**
 * First the streams that only listen are told and end, `/readyz` says no, and answers tell their connections
 * to close, so that a proxy does not send one more call down a connection that is going away. Streams that
 * are awaited may finish within DRAIN_MS; what is left is told and ends. Then nothing new is taken.
 */
export function createDrain(app: Deps, serving: RunningServer): Drain {
  let isDraining = false;
  let activity = 0;
  /** A moment in which nothing begins or ends: a request that has been read already must not lose its connection. */
  const lull = async (limitMs: number) => {
    const deadline = performance.now() + limitMs;
    let seen = activity;
    for (let still = 0; still < stillTurns && performance.now() < deadline; still += 1) {
      await sleep(1);
      if (activity !== seen) still = -1;
      seen = activity;
    }
  };
  const closingEach =
    (handle: Handle): Handle =>
    (request, peer) => {
      const answer = handle(request, peer);
      activity += 1;
      if (!(answer instanceof Promise)) return closing(answer);
      return answer.then((given) => {
        activity += 1;
        return closing(given);
      });
    };
  return {
    isDraining: () => isDraining,
    async leave(handle) {
      isDraining = true;
      serving.answerWith(closingEach(handle));
      app.openStreams.stop("listening");
      const { drainMs } = app.config;
      const farewell = Math.min(farewellMs, drainMs / 4);
      const end = performance.now() + drainMs;
      // A connection whose stream has ended goes back to its proxy as one to use again: the streams end first.
      while (app.openStreams.count() > 0 && performance.now() < end - 2 * farewell) await sleep(20);
      const cut = app.openStreams.stop("all");
      if (cut > 0) app.log.warn("streams_cut", { count: cut });
      await sleep(farewell);
      app.openStreams.stop("all");
      await lull(farewell);
      const left = Math.max(end - performance.now(), 0);
      await serving.stop(left, () => app.openStreams.stop("all"));
    },
  };
}

function closing(answer: Response): Response {
  answer.headers.set("connection", "close");
  return answer;
}
