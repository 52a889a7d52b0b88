import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import * as fc from "fast-check";
import { type Cache, createCache } from "#src/cache.ts";
import { check } from "#test/support/property.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const [freshMs, staleMs, patienceMs] = [5000, 60_000, 250];

/** A cache of numbers under a clock that is set by hand. */
function openCache(options: { size?: number; isPatient?: boolean; staleMs?: number } = {}) {
  const world = { now: 1_000_000, asked: 0 };
  const cache = createCache<number>({
    freshMs,
    staleMs: options.staleMs ?? staleMs,
    size: options.size ?? 100,
    now: () => world.now,
    ...(options.isPatient === true ? { patienceMs } : {}),
  });
  const load = (answer: number | undefined | Error) => () => {
    world.asked += 1;
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  return { world, cache, load };
}

const away = new Error("away");
const outcomeOf = (got: Promise<number | undefined>) =>
  got.catch((error: unknown) => (error instanceof Error ? error.message : ""));

const keys = ["a", "b", "c", "d", "e", "f"] as const;
type Step = {
  readonly act: "put" | "forget" | "get" | "wait";
  readonly key: string;
  readonly value: number | undefined;
  readonly pause: number;
};
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    act: fc.constantFrom("put", "forget", "get", "wait"),
    key: fc.constantFrom(...keys),
    value: fc.option(fc.integer(), { nil: undefined, freq: 5 }),
    pause: fc.constantFrom(0, 1, freshMs - 1, freshMs, 3 * freshMs),
  }),
  { maxLength: 60 },
);

/** What a cache has to know, in the simplest way: the oldest first. */
class Model {
  #entries: readonly { readonly key: string; readonly value: number; readonly at: number }[] = [];
  readonly #size: number;
  readonly #now: () => number;

  constructor(size: number, now: () => number) {
    this.#size = size;
    this.#now = now;
  }

  last(key: string): number | undefined {
    return this.#entries.find((entry) => entry.key === key)?.value;
  }

  fresh(key: string): number | undefined {
    const entry = this.#entries.find((each) => each.key === key);
    return entry !== undefined && this.#now() - entry.at < freshMs ? entry.value : undefined;
  }

  /** Nothing is an answer too, and not kept. */
  put(key: string, value: number | undefined): void {
    const others = this.#entries.filter((entry) => entry.key !== key);
    const added = value === undefined ? [] : [{ key, value, at: this.#now() }];
    this.#entries = [...others, ...added].slice(-this.#size);
  }
}

test("a cache never holds more than it may, gives nothing older than it may, and lets the oldest go first", async () => {
  await check(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 5 }), async (steps, size) => {
      const { world, cache, load } = openCache({ size });
      const model = new Model(size, () => world.now);
      const acts: Readonly<Record<Step["act"], (step: Step) => Promise<void> | void>> = {
        wait: ({ pause }) => void (world.now += pause),
        put({ key, value = 1 }) {
          cache.put(key, value);
          model.put(key, value);
        },
        forget({ key }) {
          cache.forget(key);
          model.put(key, undefined);
        },
        async get({ key, value }) {
          const [known, asked] = [model.fresh(key), world.asked];
          expect(await cache.get(key, load(value))).toBe(known ?? value);
          expect(world.asked - asked).toBe(known === undefined ? 1 : 0);
          if (known === undefined) model.put(key, value);
        },
      };
      for (const step of steps) {
        await acts[step.act](step);
        expect(keys.map((key) => cache.fresh(key))).toEqual(keys.map((key) => model.fresh(key)));
        expect(keys.map((key) => cache.last(key))).toEqual(keys.map((key) => model.last(key)));
      }
    }),
    { cases: 150 },
  );
});

test("while the database is away, what is known serves until it is too old, and never longer", async () => {
  const ages = fc.array(fc.nat({ max: 20_000 }), { minLength: 1, maxLength: 20 });
  await check(
    fc.asyncProperty(ages, async (pauses) => {
      const { world, cache, load } = openCache();
      cache.put("a", 7);
      const began = world.now;
      for (const pause of pauses) {
        world.now += pause;
        const isServed = world.now - began < staleMs;
        expect(await outcomeOf(cache.get("a", load(away)))).toBe(isServed ? 7 : "away");
      }
    }),
    { cases: 150 },
  );
});

test("a database that is away is asked once in a while, not by every call", async () => {
  const { world, cache, load } = openCache();
  cache.put("a", 7);
  world.now += freshMs;
  for (let count = 0; count < 100; count += 1) await cache.get("a", load(away));
  expect(world.asked).toBe(1);
  world.now += freshMs;
  expect(await cache.get("a", load(8))).toBe(8);
  expect([world.asked, cache.fresh("a")]).toEqual([2, 8]);
});

test("nobody is served what was not known, and a cache that keeps nothing longer than it is fresh serves nothing older", async () => {
  const { cache, load } = openCache();
  expect(await outcomeOf(cache.get("a", load(away)))).toBe("away");
  const strict = openCache({ staleMs: 0 });
  strict.cache.put("a", 7);
  strict.world.now += freshMs;
  expect(await outcomeOf(strict.cache.get("a", strict.load(away)))).toBe("away");
});

test("that there is nothing is an answer: what was known is gone, and it is asked again the next time", async () => {
  const { world, cache, load } = openCache();
  cache.put("a", 7);
  world.now += freshMs;
  expect(await cache.get("a", load(undefined))).toBeUndefined();
  expect(await outcomeOf(cache.get("a", load(away)))).toBe("away");
  expect([world.asked, cache.last("a")]).toEqual([2, undefined]);
});

/** A load that ends when it is told to. */
function held() {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  return { load: () => promise, resolve, reject };
}

test("forty who ask for the same at the same time share one load, and those of other keys do not wait for it", async () => {
  const { world, cache, load } = openCache();
  const slow = held();
  const waiting = Array.from({ length: 40 }, () =>
    cache.get("a", () => {
      world.asked += 1;
      return slow.load();
    }),
  );
  expect(await cache.get("b", load(2))).toBe(2);
  slow.resolve(1);
  expect(await Promise.all(waiting)).toEqual(Array(40).fill(1));
  expect(world.asked).toBe(2);
});

test("what was forgotten while it was read is not kept", async () => {
  for (const forget of [
    (cache: Cache<number>) => cache.forget("a"),
    (cache: Cache<number>) => cache.forgetWhere((value) => value === 1),
  ]) {
    const { world, cache } = openCache();
    cache.put("a", 1);
    world.now += freshMs;
    const slow = held();
    const waiting = cache.get("a", slow.load);
    forget(cache);
    slow.resolve(1);
    await waiting;
    expect([cache.fresh("a"), cache.last("a")]).toEqual([undefined, undefined]);
  }
});

test("forgetting by value forgets those that are meant and no others", () => {
  const { cache } = openCache();
  [1, 2, 3, 4].forEach((value) => cache.put(String(value), value));
  cache.forgetWhere((value) => value % 2 === 0);
  expect(["1", "2", "3", "4"].map((key) => cache.fresh(key))).toEqual([1, undefined, 3, undefined]);
});

test("a slow database is waited for a quarter of a second where something older can serve; its answer counts when it comes", async () => {
  const { world, cache } = openCache({ isPatient: true });
  cache.put("a", 1);
  world.now += freshMs;
  const slow = held();
  let served: number | undefined;
  const waiting = cache.get("a", slow.load).then((value) => (served = value));
  jest.advanceTimersByTime(patienceMs - 1);
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  expect(served).toBeUndefined();
  jest.advanceTimersByTime(1);
  expect(await waiting).toBe(1);
  // From then on without waiting at all, until the answer is there.
  expect(await cache.get("a", () => Promise.reject(away))).toBe(1);
  slow.resolve(2);
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  expect(cache.fresh("a")).toBe(2);
  expect(jest.getTimerCount()).toBe(0);
});

test("where nothing older can serve, a slow database is waited for as long as it takes", async () => {
  const { world, cache } = openCache({ isPatient: true });
  cache.put("old", 1);
  world.now += staleMs;
  for (const key of ["new", "old"]) {
    const slow = held();
    const waiting = cache.get(key, slow.load);
    jest.advanceTimersByTime(10 * patienceMs);
    slow.resolve(2);
    expect(await waiting).toBe(2);
  }
});
