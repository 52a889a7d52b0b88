import { afterAll, describe, expect, test } from "bun:test";
import { rounds } from "#test/support/rounds.ts";
import { refreshSteps } from "#src/accounts/refresh/deps.ts";
import { type ChaosWorld, type Victim, chaosWorld, isAnswered, settledCall } from "./chaos.ts";
import { type Moment, killAt, moments } from "./moments.ts";
import { printTable } from "./table.ts";

/** A gateway that ends itself at a step ends at the same place each time; one that is killed from outside does not. */
const roundsOf = ({ fault }: Moment) => (fault === undefined ? rounds(2, 100) : rounds(4, 100));
const limitMs = rounds(300_000, 3_600_000);
const head = ["killed at", "rounds", "kept", "lost", "token sent twice"];

test("every step of a refresh is one of these moments", () => {
  const named = moments.flatMap(({ step }) => step ?? []);
  expect(named).toEqual([...refreshSteps]);
});

/** What a moment may cost: the answer that nobody had on a disk, and nothing else. */
function judge(moment: Moment, { lost, sentTwice }: { lost: number; sentTwice: number }): void {
  if (moment.isWindow === true) expect(sentTwice).toBe(lost);
  else expect({ lost, sentTwice }).toEqual({ lost: 0, sentTwice: 0 });
}

function titleOf({ name, isWindow }: Moment): string {
  return `${name}: ${isWindow === true ? "nothing is lost but that answer" : "nothing is lost"}`;
}

describe("a gateway that is killed with -9 and started again", () => {
  const table: string[][] = [];
  afterAll(() => printTable(head, table));

  test.concurrent.each(moments.map((moment) => [titleOf(moment), moment] as const))(
    "%s",
    async (_, moment) => {
      await using world = await chaosWorld();
      await using gateways = new AsyncDisposableStack();
      let gateway = gateways.use(await world.start());
      const many = roundsOf(moment);
      let lost = 0;
      for (let round = 0; round < many; round++) {
        await callAndDie(world, gateway, moment);
        // The one that comes after is the next one to die.
        gateway = gateways.use(await world.start());
        lost += await lostThrough(world, gateway.url);
      }
      const sentTwice = world.provider.grants.reused();
      table.push([moment.name, many, many - lost, lost, sentTwice].map(String));
      judge(moment, { lost, sentTwice });
    },
    limitMs,
  );
});

async function callAndDie(world: ChaosWorld, victim: Victim, moment: Moment): Promise<void> {
  expect(isAnswered(await victim.call())).toBe(true);
  world.provider.grants.expireAccess();
  await killAt(world, victim, moment);
  expect(isAnswered(await victim.call())).toBe(false);
}

/** 0 when the account still works; else 1, and its person has connected it again. */
async function lostThrough(world: ChaosWorld, url: string): Promise<number> {
  const answer = await settledCall(url, world.bearer);
  if (isAnswered(answer)) return 0;
  expect(answer.text).toContain("reconnect_needed");
  await world.connectAgain(url);
  return 1;
}

async function leaseTaken({ sql }: ChaosWorld): Promise<void> {
  const taken = () => sql`select 1 from accounts where lease_until > now()`;
  for (let look = 0; look < 1000 && (await taken()).length === 0; look++) await Bun.sleep(2);
}

describe("one of two gateways that share a journal is killed with -9, with calls waiting on both", () => {
  const twoRounds = rounds(1, 50);
  const table: string[][] = [];
  afterAll(() => printTable(head, table));

  test.concurrent.each(moments.map((moment) => [titleOf(moment), moment] as const))(
    "%s",
    async (_, moment) => {
      await using world = await chaosWorld();
      await using survivor = await world.start();
      let lost = 0;
      for (let round = 0; round < twoRounds; round++) {
        await using victim = await world.start();
        expect(isAnswered(await victim.call())).toBe(true);
        expect(isAnswered(await survivor.call())).toBe(true);
        world.provider.grants.expireAccess();
        await killAt(world, victim, moment);
        const dying = victim.call();
        // The other one meets the dead token while the first is renewing it, or is dead.
        await Promise.race([dying, leaseTaken(world)]);
        lost += await lostThrough(world, survivor.url);
        expect(isAnswered(await dying)).toBe(false);
      }
      const sentTwice = world.provider.grants.reused();
      table.push([moment.name, twoRounds, twoRounds - lost, lost, sentTwice].map(String));
      judge(moment, { lost, sentTwice });
    },
    limitMs,
  );
});
