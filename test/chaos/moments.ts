import type { RefreshStep } from "#src/accounts/refresh/deps.ts";
import type { Fault } from "#src/sandbox/faults.ts";
import type { ChaosWorld, Victim } from "./chaos.ts";

/** Where something is killed: at one of the refresh's own steps, or while the provider has the request. */
export type Moment = {
  readonly name: string;
  readonly step?: RefreshStep;
  readonly fault?: Fault;
  /** Between the provider's commit and our disk lies a window that no client can close. */
  readonly isWindow?: true;
};

export const moments: readonly Moment[] = [
  { name: "before the intent", step: "begun" },
  { name: "intent committed", step: "intent_committed" },
  { name: "room made in the journal", step: "room_made" },
  { name: "asked, not yet processed", fault: { kind: "hang" } },
  { name: "processed, answer in flight", fault: { kind: "swallowed" }, isWindow: true },
  { name: "answer in memory", step: "answered", isWindow: true },
  { name: "answer in the journal", step: "journaled" },
  { name: "row stored", step: "stored" },
  { name: "mark written", step: "marked" },
  { name: "journal entry gone", step: "forgotten" },
];

/** From the next refresh on: the process dies at this moment. */
export async function killAt(world: ChaosWorld, victim: Victim, moment: Moment): Promise<void> {
  const { step, fault } = moment;
  if (step !== undefined) return await victim.arm("kill", step);
  const before = world.provider.asked.refresh_token;
  if (fault !== undefined) world.provider.faults.push(fault);
  void (async () => {
    while (world.provider.asked.refresh_token === before) await Bun.sleep(2);
    // The provider has read the request, and holds its answer back.
    await Bun.sleep(5);
    await victim.kill();
  })();
}
