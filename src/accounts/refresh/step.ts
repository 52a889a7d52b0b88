/** What is behind a refresh when it reaches the next step. Tests stop the process at each. */
export const refreshSteps = [
  "begun",
  "intent_committed",
  "room_made",
  "answered",
  "journaled",
  "stored",
  "marked",
  "forgotten",
] as const;

export type RefreshStep = (typeof refreshSteps)[number];

/** Called between every two steps; in a gateway that serves it does nothing. */
export type AtStep = (step: RefreshStep) => Promise<void> | void;
