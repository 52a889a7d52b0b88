import { expect, test } from "bun:test";
import { scheduleSend, scheduleAnswer, scheduleRequest } from "#src/http/event-loop.ts";

test("whoever is alone waits for nobody", async () => {
  const done: string[] = [];
  expect(scheduleRequest(() => "at once")).toBe("at once");
  const held = Promise.withResolvers<string>();
  const answer = scheduleRequest(() => held.promise);
  scheduleAnswer(() => done.push("answer"));
  scheduleSend(() => done.push("sent"));
  expect(done).toEqual(["answer", "sent"]);
  held.resolve("later");
  expect(await answer).toBe("later");
});

test("what several need is done step by step, answers first and sends after everybody's", async () => {
  const done: string[] = [];
  const first = Promise.withResolvers<void>();
  const waiting = [scheduleRequest(() => first.promise)];
  for (const name of ["a", "b"]) {
    waiting.push(
      scheduleRequest(async () => {
        done.push(`${name} begins`);
        await Promise.resolve();
        scheduleSend(() => done.push(`${name} sent`));
        done.push(`${name} ready`);
      }),
    );
  }
  scheduleAnswer(() => done.push("answer"));
  expect(done).toEqual([]);
  first.resolve();
  for (const each of waiting) await each;
  expect(done).toEqual([
    "answer",
    "a begins",
    "b begins",
    "a ready",
    "b ready",
    "a sent",
    "b sent",
  ]);
});

test("one that fails takes none with it, and is not under way any more", async () => {
  const held = Promise.withResolvers<void>();
  const before = scheduleRequest(() => held.promise);
  const failing = scheduleRequest(() => {
    throw new Error("no");
  });
  const next = scheduleRequest(() => "done");
  const refused = Promise.resolve(failing).then(
    () => "fine",
    (error: unknown) => String(error),
  );
  expect(await refused).toBe("Error: no");
  expect(await next).toBe("done");
  held.resolve();
  await before;
  // Nobody is left: the next one is done at once.
  expect(scheduleRequest(() => "alone")).toBe("alone");
});

test("what comes in while a turn is worked off is done in the next one", async () => {
  const held = Promise.withResolvers<void>();
  const before = scheduleRequest(() => held.promise);
  const other = scheduleRequest(() => held.promise);
  const done: string[] = [];
  const over = Promise.withResolvers<void>();
  scheduleAnswer(() => {
    scheduleAnswer(() => {
      done.push("next turn");
      over.resolve();
    });
  });
  scheduleAnswer(() => done.push("this turn"));
  setImmediate(() => done.push("between"));
  await over.promise;
  expect(done).toEqual(["this turn", "between", "next turn"]);
  held.resolve();
  await Promise.all([before, other]);
});
