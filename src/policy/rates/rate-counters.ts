import type { App } from "#src/app.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { endsWithin, within } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { type Level, type Told, forgive, tell } from "./store.ts";
import type { Rate } from "#src/config/guards.ts";

type LimitStatus = {
  /** Calls that may still be made now. */
  readonly remaining: number;
  /** Until one more may be made; 0 when it may now. Milliseconds. */
  readonly waitMs: number;
  /** Until nothing of it is used any more. Milliseconds. */
  readonly resetMs: number;
};

/**
 * Counts by key, in this process and without asking anybody, and shares what was counted with the other replicas
 * through the database, beside the calls.
 */
export type RateCounters = {
  /**
   * What is counted under a key. Whoever counts under it often keeps it as long as it `isKept`: looking at it and
   * adding to it then costs no look-up.
   */
  counter(key: string, rule: Rule): Counter;
  /** The one there is. Looking makes none: names that are made up take nobody's place. */
  find(key: string): Counter | undefined;
  status(key: string, rule: Rule): LimitStatus;
  add(key: string, rule: Rule, calls?: number): void;
  /** Counts, and returns what counts from now on. `now` is by the clock of this process, in milliseconds. */
  count(counter: Counter, calls: number, now: number): Counter;
  /** What was counted is forgiven; other replicas hear of it when they read it again. */
  reset(key: string): void;
  /** The same of every key that begins like one of these. */
  resetWhere(beginnings: readonly string[]): void;
  /** Asks what the others have counted, or forgiven, under these keys; a tenth of a second at most. */
  reread(keys: readonly string[]): Promise<void>;
  /**
   * Whether so much was counted here that the others have to hear of it first: a twentieth of what is allowed.
   * So many calls more than allowed each further replica may let through, not more.
   */
  needsSyncOf(key: string): boolean;
  /** The same of a counter. */
  needsSync(counter: Counter, now: number): boolean;
  /** Resolves when what was counted has been told, or after a tenth of a second. */
  told(): Promise<void>;
  stop(): Promise<void>;
};

/** What one process knows of a key. Only the counters change it. */
export class Counter {
  readonly key: string;
  /** Of a rate: how many milliseconds after `at` it is empty. Of a sum: calls. With what was not told yet. */
  level = 0;
  /** When `level` was set, in milliseconds since 1970. One number for both would have no room for fractions of a millisecond. */
  at = 0;
  pending = 0;
  /** Counts how often it was forgiven: what was told before does not come back. */
  forgiven = 0;
  /** False once another one has taken its place. */
  isKept = true;
  #rule: Rule;
  #mostPending: number;

  constructor(key: string, rule: Rule) {
    this.key = key;
    this.#rule = rule;
    this.#mostPending = mostPending(rule);
  }

  get rule(): Rule {
    return this.#rule;
  }

  set rule(rule: Rule) {
    if (rule === this.#rule) return;
    this.#rule = rule;
    this.#mostPending = mostPending(rule);
  }

  get mostPending(): number {
    return this.#mostPending;
  }

  /** Calls that may still be made at `now`. */
  remaining(now: number): number {
    return remainingOf(this.levelAt(now), this.#rule);
  }

  /** Milliseconds until nothing of it is used any more. */
  resetMs(now: number): number {
    return "endsAt" in this.#rule ? Math.max(this.#rule.endsAt - now, 0) : this.levelAt(now);
  }

  /** The level at `now`: of a rate, milliseconds until it is empty; of a sum, calls. */
  levelAt(now: number): number {
    return "endsAt" in this.#rule ? this.level : Math.max(this.level - (now - this.at), 0);
  }
}

/** In calls: sums of fractions are not exact. */
const tolerance = 1e-7;

function remainingOf(level: number, rule: Rule): number {
  if ("endsAt" in rule) return Math.max(rule.calls - level, 0);
  const stepMs = rule.perMs / rule.calls;
  return Math.max(Math.floor(rule.burst - level / stepMs + tolerance), 0);
}

function statusOf(level: number, rule: Rule, now: number): LimitStatus {
  const remaining = remainingOf(level, rule);
  if ("endsAt" in rule) {
    const resetMs = Math.max(rule.endsAt - now, 0);
    return { remaining, waitMs: remaining > 0 ? 0 : resetMs, resetMs };
  }
  const stepMs = rule.perMs / rule.calls;
  const roomMs = rule.burst * stepMs - level;
  return { remaining, waitMs: remaining > 0 ? 0 : Math.max(stepMs - roomMs, 1), resetMs: level };
}

const [everyMs, gapMs, longestWaitMs, answerMs, awayMs] = [1000, 20, 100, 800, 1000];
const [mostKeys, mostTold, mostForgiven] = [50_000, 1000, 10_000];

export function createRateCounters(app: Pick<App, "db" | "now" | "log">): RateCounters {
  return new SharedCounters(app);
}

class SharedCounters implements RateCounters {
  readonly #app: Pick<App, "db" | "now" | "log">;
  readonly #entries = new Map<string, Counter>();
  readonly #dirty = new Set<Counter>();
  readonly #forgiven = new Set<string>();
  readonly #timer: ReturnType<typeof setInterval>;
  #running: Promise<void> | undefined;
  #soon: ReturnType<typeof setTimeout> | undefined;
  #awayUntil = 0;

  constructor(app: Pick<App, "db" | "now" | "log">) {
    this.#app = app;
    this.#timer = setInterval(() => void this.#report(), everyMs);
  }

  status(key: string, rule: Rule): LimitStatus {
    const now = this.#app.now().getTime();
    return statusOf(this.#entries.get(key)?.levelAt(now) ?? 0, rule, now);
  }

  add(key: string, rule: Rule, calls = 1): void {
    this.count(this.counter(key, rule), calls, this.#app.now().getTime());
  }

  count(kept: Counter, calls: number, now: number): Counter {
    // Another one may have taken its place: two of one key would be told twice.
    const counter = kept.isKept ? kept : this.counter(kept.key, kept.rule);
    const { rule } = counter;
    if ("endsAt" in rule) counter.level += calls;
    else {
      counter.level = counter.levelAt(now) + (calls * rule.perMs) / rule.calls;
      counter.at = now;
    }
    // What waits to be told is among them already.
    if (counter.pending === 0) this.#dirty.add(counter);
    counter.pending += calls;
    if (counter.pending >= counter.mostPending / 2) this.#reportSoon();
    return counter;
  }

  reset(key: string): void {
    // Others may have counted what is not known here.
    if (this.#forgiven.size < mostForgiven) this.#forgiven.add(key);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.level = 0;
    entry.pending = 0;
    entry.forgiven += 1;
    this.#dirty.delete(entry);
  }

  resetWhere(beginnings: readonly string[]): void {
    for (const key of this.#entries.keys()) {
      if (beginnings.some((beginning) => key.startsWith(beginning))) this.reset(key);
    }
  }

  async reread(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const entry = this.#entries.get(key);
      if (entry !== undefined) this.#dirty.add(entry);
    }
    await this.#running;
    await this.told();
  }

  needsSyncOf(key: string): boolean {
    const entry = this.#entries.get(key);
    return entry !== undefined && this.needsSync(entry, this.#app.now().getTime());
  }

  needsSync(counter: Counter, now: number): boolean {
    return counter.pending >= counter.mostPending && now >= this.#awayUntil;
  }

  async told(): Promise<void> {
    await endsWithin(this.#report(), longestWaitMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    await this.#running;
    await this.#report();
  }

  find(key: string): Counter | undefined {
    return this.#entries.get(key);
  }

  counter(key: string, rule: Rule): Counter {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.rule = rule;
      return known;
    }
    if (this.#entries.size >= mostKeys) this.#makeRoom();
    const counter = new Counter(key, rule);
    this.#entries.set(key, counter);
    return counter;
  }

  /** The oldest go that everybody has been told of: the database has them. */
  #makeRoom(): void {
    let left = mostKeys / 10;
    for (const [key, entry] of this.#entries) {
      if (left === 0) return;
      left -= 1;
      if (entry.pending === 0 || this.#entries.size > 2 * mostKeys) {
        this.#entries.delete(key);
        this.#dirty.delete(entry);
        entry.isKept = false;
      }
    }
  }

  #reportSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      void this.#report();
    }, gapMs);
  }

  /** One at a time: whoever asks while one runs gets that one. */
  #report(): Promise<void> {
    if (this.#running !== undefined) return this.#running;
    if (this.#dirty.size === 0 && this.#forgiven.size === 0) return Promise.resolve();
    if (this.#app.now().getTime() < this.#awayUntil) return Promise.resolve();
    this.#running = this.#tell().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #tell(): Promise<void> {
    const entries = [...this.#dirty].slice(0, mostTold);
    const forgiven = [...this.#forgiven].slice(0, mostTold);
    const late = () => new Failure("database_unavailable");
    try {
      await within(answerMs, forgive(this.#app.db, forgiven), late);
      forgiven.forEach((key) => this.#forgiven.delete(key));
      if (entries.length === 0) return;
      // What is told and what is taken off afterwards is the same: nothing may be added between.
      const now = this.#app.now().getTime();
      const before = entries.map(({ pending, forgiven: times }) => ({ pending, times }));
      const told = entries.map((entry) => toldOf(entry, entry.levelAt(now), now));
      const levels = await within(answerMs, tell(this.#app.db, told), late);
      const byKey = new Map(levels.map(({ key, level }: Level) => [key, level]));
      entries.forEach((entry, index) => this.#learn(entry, before[index], byKey.get(entry.key)));
      this.#app.log.over("tallies_not_told");
    } catch (error) {
      this.#app.log.lasting("tallies_not_told", errorFields(error));
      // A database that refuses these would refuse them again, and everything else with them.
      if (asFailure(error).code === "internal") entries.forEach((entry) => this.#giveUp(entry));
      this.#awayUntil = this.#app.now().getTime() + awayMs;
    }
  }

  #giveUp(entry: Counter): void {
    entry.pending = 0;
    this.#dirty.delete(entry);
  }

  /** What all have counted, with what was added here while they were asked. */
  #learn(
    entry: Counter,
    before: { readonly pending: number; readonly times: number } | undefined,
    level: number | undefined,
  ): void {
    if (before === undefined || level === undefined || entry.forgiven !== before.times) return;
    entry.pending -= before.pending;
    if (entry.pending === 0) this.#dirty.delete(entry);
    const { rule } = entry;
    if ("endsAt" in rule) {
      entry.level = level + entry.pending;
      return;
    }
    const stepMs = rule.perMs / rule.calls;
    const now = this.#app.now().getTime();
    const learned = Math.max(level, 0) + entry.pending * stepMs;
    // Less than a call apart is the time that asking took: alone, this process counts exactly.
    if (Math.abs(learned - entry.levelAt(now)) < stepMs / 2) return;
    entry.level = learned;
    entry.at = now;
  }
}

/** So many calls until a moment; milliseconds since 1970. */
export type Sum = { readonly calls: number; readonly endsAt: number };

/** What is counted: a rate (the generic cell rate algorithm) or a sum until a period ends. */
type Rule = Rate | Sum;

/** What one process has counted under a key and not told yet. */
type Counted = { readonly key: string; readonly rule: Rule; readonly pending: number };

const pendingShare = 20;
const minuteMs = 60_000;

/** A name that others have chosen, as part of a key: PostgreSQL takes neither NUL nor half a surrogate pair. */
export function inKey(name: string): string {
  return name.replaceAll("\0", "").toWellFormed();
}

/** So much may be counted in one process before the others hear of it: a twentieth of what is allowed. */
export function mostPending(rule: Rule): number {
  const most = "burst" in rule ? Math.max(rule.calls, rule.burst) : rule.calls;
  return Math.max(Math.floor(most / pendingShare), 1);
}

/** What is told of an entry. `level`: see `Counter.levelAt`; only that of a rate is used. `now` is in milliseconds. */
export function toldOf({ key, rule, pending }: Counted, level: number, now: number): Told {
  if ("endsAt" in rule) {
    const keepMs = Math.max(rule.endsAt - now, 0) + minuteMs;
    return { key, calls: pending, stepMs: null, most: rule.calls, keepMs };
  }
  const stepMs = rule.perMs / rule.calls;
  const keepMs = level + rule.perMs + rule.burst * stepMs + minuteMs;
  return { key, calls: pending, stepMs, most: null, keepMs };
}
