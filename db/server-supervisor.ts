import { setTimeout as sleep } from "node:timers/promises";

export type Guard = { stop(): Promise<void> };

type Guarded = {
  isAlive(): boolean;
  start(): Promise<void>;
  tell(outcome: "restarted" | "failed"): void;
};

const [lookMs, longestPauseMs] = [2000, 60_000];

/** Looks every two seconds whether a server lives and starts it again; after a failed start less and less often. */
export function superviseServer(guarded: Guarded): Guard {
  const stopping = new AbortController();
  const guarding = guardUntil(stopping.signal, guarded);
  return {
    stop: () => {
      stopping.abort();
      return guarding;
    },
  };
}

async function guardUntil(stopped: AbortSignal, guarded: Guarded): Promise<void> {
  let pauseMs = lookMs;
  while (!stopped.aborted) {
    await sleep(pauseMs, undefined, { signal: stopped, ref: false }).catch(() => undefined);
    if (stopped.aborted || guarded.isAlive()) continue;
    const outcome = await guarded.start().then(
      () => "restarted" as const,
      () => "failed" as const,
    );
    pauseMs = outcome === "restarted" ? lookMs : Math.min(pauseMs * 2, longestPauseMs);
    guarded.tell(outcome);
  }
}
