import { boundsFor, findGrowth } from "./growth.ts";
import { isBackTo } from "./journey.ts";
import type { Outcome } from "./journey.ts";

/** Everything that leaked or broke, in words; nothing when all is well. */
export function findFaults(outcome: Outcome): readonly string[] {
  const { plan, streams, descriptors, errors } = outcome;
  const faults: string[] = [];
  const expect = (isGood: boolean, fault: string) => void (isGood || faults.push(fault));
  for (const [kind, count] of Object.entries(errors)) faults.push(`${count} × ${kind}`);
  expect(outcome.calls.count > 0, "no call was answered");
  expect(streams.cut === 0, `${streams.cut} held streams were cut`);
  expect(streams.held === plan.streams, `${streams.held} of ${plan.streams} streams were held`);
  expect(streams.silent === 0, `${streams.silent} held streams fell silent`);
  expect(streams.leftUpstream === 0, `${streams.leftUpstream} streams are left open upstream`);
  expect(outcome.refreshes > 0, "nothing was refreshed");
  expect(
    outcome.refreshTokensReused === 0,
    `${outcome.refreshTokensReused} refresh tokens were sent twice`,
  );
  expect(
    isBackTo(descriptors.idle, descriptors.left),
    `${descriptors.left.all} descriptors are left, ${descriptors.idle.all} were there before`,
  );
  faults.push(...findGrowth(outcome.memory, boundsFor(plan.seconds)));
  expect(outcome.endedInOrder, "the gateway did not end in order");
  return faults;
}
