import { expect, test } from "bun:test";
import { sendTogether, takeAnswer, takeRequest } from "#src/http/turn.ts";

test("whoever is alone waits for nobody", async () => {
  const done: string[] = [];
  expect(takeRequest(() => "at once")).toBe("at once");
  const held = Promise.withResolvers<string>();
  const answer = takeRequest(() => held.promise);
  takeAnswer(() => done.push("answer"));
  sendTogether(() => done.push("sent"));
  expect(done).toEqual(["answer", "sent"]);
  held.resolve("later");
  expect(await answer).toBe("later");
});

test("what several need is done step by step, answers first and sends after everybody's", async () => {
  const done: string[] = [];
  const first = Promise.withResolvers<void>();
  const waiting = [takeRequest(() => first.promise)];
  for (const name of ["a", "b"]) {
    waiting.push(
      takeRequest(async () => {
        done.push(`${name} begins`);
        await Promise.resolve();
        sendTogether(() => done.push(`${name} sent`));
        done.push(`${name} ready`);
      }),
    );
  }
  takeAnswer(() => done.push("answer"));
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
  const before = takeRequest(() => held.promise);
  const failing = takeRequest(() => {
    throw new Error("no");
  });
  const next = takeRequest(() => "done");
  const refused = Promise.resolve(failing).then(
    () => "fine",
    (error: unknown) => String(error),
  );
  expect(await refused).toBe("Error: no");
  expect(await next).toBe("done");
  held.resolve();
  await before;
  // Nobody is left: the next one is done at once.
  expect(takeRequest(() => "alone")).toBe("alone");
});

test("what comes in while a turn is worked off is done in the next one", async () => {
  const held = Promise.withResolvers<void>();
  const before = takeRequest(() => held.promise);
  const other = takeRequest(() => held.promise);
  const inner = Promise.withResolvers<string>();
  takeAnswer(() => takeAnswer(() => inner.resolve("done")));
  expect(await inner.promise).toBe("done");
  held.resolve();
  await Promise.all([before, other]);
});
