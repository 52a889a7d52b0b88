import { expect, test } from "bun:test";
import { randomInt } from "node:crypto";
import { binary, root, start } from "#test/cli/program.ts";
import { rounds } from "#test/support/rounds.ts";
import { serving } from "#test/support/process.ts";
import { chaosWorld, isAnswered, settledCall, whoami } from "./chaos.ts";
import { printTable } from "./table.ts";

const kills = rounds(10, 200);
const mostMs = 40;

test(
  "the compiled binary, killed with -9 at any moment of a refresh, loses at most the answer in flight",
  async () => {
    await using world = await chaosWorld();
    const environment = { ...world.environment };
    let lost = 0;
    for (let round = 0; round < kills; round++) {
      await using gateway = start([binary(), "serve"], { cwd: root, environment });
      const [, url = ""] = await gateway.says(serving);
      const answer = await settledCall(url, world.bearer);
      if (!isAnswered(answer)) {
        expect(answer.text).toContain("reconnect_needed");
        lost += 1;
        await world.connectAgain(url);
      }
      world.provider.grants.expireAccess();
      const calls = Array.from({ length: 5 }, () => whoami(url, world.bearer));
      await Bun.sleep(randomInt(0, mostMs));
      process.kill(gateway.pid, "SIGKILL");
      await Promise.all(calls);
    }
    const sentTwice = world.provider.grants.reused();
    printTable(
      ["binary killed", "refreshes", "lost in flight", "token sent twice"],
      [[kills, world.provider.asked.refresh_token, lost, sentTwice].map(String)],
    );
    // A grant is only gone where the provider had used its token up and nobody had the answer.
    expect(Math.abs(sentTwice - lost)).toBeLessThanOrEqual(1);
    expect(lost).toBeLessThan(kills / 2);
  },
  rounds(180_000, 1_800_000),
);
