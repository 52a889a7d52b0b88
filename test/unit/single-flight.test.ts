import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import * as fc from "fast-check";
import { asFailure } from "#src/failure.ts";
import { createSingleFlight } from "#src/single-flight.ts";
import { endsWithin, timely, within, withinAbout } from "#src/clock.ts";
import { check } from "#test/support/property.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const never = new Promise<never>(() => undefined);
const failing = () => Promise.reject(new Error("broken"));
const wordsOf = (error: unknown) => (error instanceof Error ? error.message : "");

test("forty callers who want the same at the same time share one piece of work, and its failure", async () => {
  const once = createSingleFlight();
  let began = 0;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const work = () => {
    began += 1;
    return promise;
  };
  const callers = Array.from({ length: 40 }, () => once("a", work));
  resolve("done");
  expect(await Promise.all(callers)).toEqual(Array(40).fill("done"));
  expect(began).toBe(1);
  reject(new Error("too late"));
  const failed = await Promise.all(
    Array.from({ length: 40 }, () => once("a", failing).catch(wordsOf)),
  );
  expect(failed).toEqual(Array(40).fill("broken"));
});

test("whoever comes after its end, good or bad, begins anew", async () => {
  const once = createSingleFlight();
  expect(await once("a", () => Promise.resolve(1))).toBe(1);
  expect(await once("a", failing).catch(wordsOf)).toBe("broken");
  expect(await once("a", () => Promise.resolve(2))).toBe(2);
});

test("at no moment two pieces of work run under one key, and every caller gets the one that ran", async () => {
  const steps = fc.array(
    fc.oneof(fc.record({ begin: fc.constantFrom("a", "b", "c") }), fc.record({ end: fc.nat() })),
    { maxLength: 40 },
  );
  await check(
    fc.asyncProperty(steps, async (steps) => {
      const once = createSingleFlight();
      const running: { key: string; id: number; end: (id: number) => void }[] = [];
      const got: Promise<readonly [number, number]>[] = [];
      let ids = 0;
      for (const step of steps) {
        if ("begin" in step) {
          const key = step.begin;
          const result = once(key, () => {
            expect(running.some((each) => each.key === key)).toBeFalse();
            const { promise, resolve } = Promise.withResolvers<number>();
            running.push({ key, id: (ids += 1), end: resolve });
            return promise;
          });
          const expected = running.find((each) => each.key === key)?.id ?? 0;
          got.push(result.then((id) => [id, expected] as const));
          continue;
        }
        const [ended] = running.splice(step.end % Math.max(running.length, 1), 1);
        ended?.end(ended.id);
        // Everybody hears of it before the next one comes.
        for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
      }
      for (const { id, end } of running) end(id);
      for (const [id, expected] of await Promise.all(got)) expect(id).toBe(expected);
    }),
    { cases: 100 },
  );
});

test("`settled` waits for everything that runs, however it ends", async () => {
  const once = createSingleFlight();
  const [good, bad] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const callers = [once("a", () => good.promise), once("b", () => bad.promise)];
  let isSettled = false;
  const settled = once.settled().then(() => (isSettled = true));
  good.resolve();
  await callers[0];
  expect(isSettled).toBeFalse();
  bad.reject(new Error("broken"));
  expect(await callers[1]?.catch(wordsOf)).toBe("broken");
  await settled;
  expect(isSettled).toBeTrue();
});

test("work that ends in time is what it is, good or bad, and leaves no timer behind", async () => {
  const late = () => new Error("late");
  expect(await within(1000, Promise.resolve("done"), late)).toBe("done");
  expect(await within(1000, failing(), late).catch(wordsOf)).toBe("broken");
  expect(await endsWithin(Promise.resolve(), 1000)).toBeTrue();
  expect(await endsWithin(failing(), 1000)).toBeTrue();
  expect(jest.getTimerCount()).toBe(0);
});

test("work that takes longer is late at that moment and not before, and leaves no timer behind", async () => {
  let made = 0;
  const late = () => new Error(`late ${(made += 1)}`);
  const waiting = [
    within(1000, never, late).catch(wordsOf),
    endsWithin(never, 1000).then(String),
  ] as const;
  jest.advanceTimersByTime(999);
  expect(made).toBe(0);
  expect(jest.getTimerCount()).toBe(2);
  jest.advanceTimersByTime(1);
  expect(await Promise.all(waiting)).toEqual(["late 1", "false"]);
  expect(jest.getTimerCount()).toBe(0);
});

test("a database that has gone silent holds nobody for longer than five seconds", async () => {
  const waiting = timely(never).catch(asFailure);
  jest.advanceTimersByTime(5000);
  expect(await waiting).toMatchObject({
    code: "database_unavailable",
    details: { retryAfterSeconds: 5 },
  });
  expect(await timely(Promise.resolve("rows"))).toBe("rows");
  expect(jest.getTimerCount()).toBe(0);
});

test("what is limited about ends with its own outcome, or as late, and leaves nothing behind", async () => {
  jest.useRealTimers();
  const late = () => new Error("late");
  expect(await withinAbout(1000, Promise.resolve(1), late)).toBe(1);
  const broken = withinAbout(1000, Promise.reject(new Error("broken")), late);
  expect(await broken.catch((error: unknown) => String(error))).toBe("Error: broken");
  const both = [withinAbout(1, never, late), withinAbout(2, never, late)];
  for (const each of both) {
    expect(await each.catch((error: unknown) => String(error))).toBe("Error: late");
  }
});
