import { afterAll, describe, expect, test } from "bun:test";
import { type RefreshStep, refreshSteps } from "#src/accounts/refresh/step.ts";
import type { Fault } from "#src/sandbox/faults.ts";
import { type ChaosWorld, type Victim, chaosWorld, isAnswered, settledCall } from "./chaos.ts";
import { printTable } from "./table.ts";

/** `SMARTDASH_CHAOS_ROUNDS` for a longer look. */
const rounds = Number(process.env["SMARTDASH_CHAOS_ROUNDS"] ?? 20);
const fiveMinutes = 300_000;

/** Where the process is killed: at one of its own steps, or while the provider has the request. */
type Moment = {
  readonly name: string;
  readonly step?: RefreshStep;
  readonly fault?: Fault;
  /** Between the provider's commit and our disk lies a window that no client can close. */
  readonly isWindow?: true;
};

const moments: readonly Moment[] = [
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

const table: string[][] = [];
afterAll(() => printTable(["killed at", "rounds", "kept", "lost", "token sent twice"], table));

test("every step of a refresh is one of these moments", () => {
  const named = moments.flatMap(({ step }) => step ?? []);
  expect(named).toEqual([...refreshSteps]);
});

describe("a gateway that is killed with -9", () => {
  for (const moment of moments) {
    test(
      `${moment.name}: ${moment.isWindow ? "loses nothing but that answer" : "loses nothing"}`,
      async () => {
        await using world = await chaosWorld();
        let lost = 0;
        for (let round = 0; round < rounds; round++) {
          await killAt(world, moment);
          await using survivor = await world.start();
          const answer = await settledCall(survivor.url, world.bearer);
          if (isAnswered(answer)) continue;
          expect(answer.text).toContain("reconnect_needed");
          lost += 1;
          await world.connectAgain(survivor.url);
        }
        const sentTwice = world.provider.grants.reused();
        table.push([moment.name, rounds, rounds - lost, lost, sentTwice].map(String));
        if (moment.isWindow) {
          expect(sentTwice).toBe(lost);
        } else {
          expect({ lost, sentTwice }).toEqual({ lost: 0, sentTwice: 0 });
        }
      },
      fiveMinutes,
    );
  }
});

/** One gateway, killed in the middle of a refresh. */
async function killAt(world: ChaosWorld, { step, fault }: Moment): Promise<void> {
  await using victim = await world.start();
  expect(isAnswered(await victim.call())).toBe(true);
  world.provider.grants.expireAccess();
  if (step !== undefined) await victim.arm("kill", step);
  else await killWhileAsked(world, victim, fault);
  const answer = await victim.call();
  expect(isAnswered(answer)).toBe(false);
}

async function killWhileAsked(world: ChaosWorld, victim: Victim, fault: Fault | undefined) {
  const before = world.provider.asked.refresh_token;
  if (fault !== undefined) world.provider.faults.push(fault);
  void (async () => {
    while (world.provider.asked.refresh_token === before) await Bun.sleep(2);
    // The provider has read the request, and holds its answer back.
    await Bun.sleep(5);
    await victim.kill();
  })();
}
