import { expect, test } from "bun:test";
import { atMostEvery, repeat } from "#src/edge/discovery/rate.ts";
import { until } from "#test/support/until.ts";

test("what is asked for during a pause is done when the pause is over, once for all who asked", async () => {
  const at: number[] = [];
  const answer = atMostEvery(40, () => at.push(performance.now()));
  answer.soon();
  await until(() => at.length === 1);
  for (let count = 0; count < 3; count += 1) answer.soon();
  await until(() => at.length === 2);
  expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThan(38);
  await Bun.sleep(60);
  expect(at.length).toBe(2);
  answer.soon();
  answer.stop();
  await Bun.sleep(5);
  expect(at.length).toBe(2);
});

test("the pauses double up to the longest", async () => {
  const at: number[] = [];
  const work = repeat(10, 30, () => at.push(performance.now()));
  expect(at.length).toBe(1);
  await until(() => at.length === 5);
  work.stop();
  const pauses = at.slice(1).map((each, index) => each - (at[index] ?? 0));
  for (const [index, least] of [9, 19, 29, 29].entries()) {
    expect(pauses[index]).toBeGreaterThan(least);
  }
  await Bun.sleep(40);
  expect(at.length).toBe(5);
});
