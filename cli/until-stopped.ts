import { onStopSignal } from "#src/runtime/signals.ts";

/** Resolves with the first SIGINT or SIGTERM; another one a second later or more ends the process at once. */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => void onStopSignal(resolve));
}
