import { setTimeout as sleep } from "node:timers/promises";
import { eventCount } from "#db/events.ts";
import { databaseNow } from "#db/ping.ts";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/once.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";
import { type Switch, allSwitches, removeSwitch, saveSwitch } from "./store.ts";

/** What the operator has switched off, as this process knows it. */
export type Switches = {
  /** Failures: `upstream_switched_off`. Asks nobody. */
  check(upstream: string): void;
  /** The upstreams that are off. */
  off(): readonly string[];
  /** Reads them when something was switched, or may have been. */
  hear(subjects: readonly string[]): void;
  /** Failures: `database_unavailable`: a gateway does not begin to serve without knowing. */
  load(): Promise<void>;
  stop(): void;
};

/** The ending with which every stream of an upstream is told that it is off. */
export function switchedOff(upstream: string): string {
  return `off:upstream:${upstream}`;
}

function switchedOn(upstream: string): string {
  return `on:upstream:${upstream}`;
}

const [againMs, everyMs] = [500, 30_000];
const retryAfterSeconds = 60;

/**
 * Switching is told like an ending: at once where notifications arrive, within a second where they do not.
 * Besides, all of them are read every 30 seconds. While the database is away, what was last known holds.
 */
export function createSwitches(app: Pick<App, "db" | "log">): Switches {
  let off: ReadonlyMap<string, Switch> = new Map();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  let [asked, known] = [0, 0];
  const load = async () => {
    const turn = ++asked;
    const rows = await timely(allSwitches(app.db));
    // An answer that was overtaken by a later one says how it was.
    if (turn < known) return;
    known = turn;
    off = new Map(rows.map((row) => [row.subject, row]));
  };
  const reload = async () => {
    clearTimeout(timer);
    const wait = await load().then(
      () => everyMs,
      (error: unknown) => {
        app.log.warn("switches_not_read", troubleOf(error));
        return againMs;
      },
    );
    clearTimeout(timer);
    if (!isStopped) timer = setTimeout(() => void reload(), wait);
  };
  return {
    check(upstream) {
      if (off.size === 0) return;
      const found = off.get(`upstream:${upstream}`);
      if (found === undefined) return;
      const why = found.reason === null ? "" : `: ${found.reason}`;
      throw new Failure(
        "upstream_switched_off",
        `The operator has switched ${upstream} off for a while${why}. Do not try again before a minute has passed; nothing is lost.`,
        { retryAfterSeconds },
      );
    },
    off: () => [...off.keys()].map((subject) => subject.slice("upstream:".length)),
    hear(subjects) {
      if (subjects.some((subject) => /^(off|on):/.test(subject))) void reload();
    },
    async load() {
      await load();
      timer = setTimeout(() => void reload(), everyMs);
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

export type SwitchedOff = {
  /** Open streams that gateways have ended for it. */
  readonly streamsCut: number;
};

/** A second to read it, and half of one to note what was cut. */
const toldMs = 2000;

/**
 * Switches an upstream off on every gateway, within two seconds; its streams end. The reason is told to agents.
 * Failures: `usage` when there is no such upstream.
 */
export async function switchOff(
  app: Pick<App, "db" | "catalog" | "log">,
  upstream: string,
  reason: string | undefined,
): Promise<SwitchedOff> {
  refuseUnknown(app, upstream);
  const since = await databaseNow(app.db);
  const subject = `upstream:${upstream}`;
  await timely(
    saveSwitch(app.db, { subject, reason: reason?.slice(0, 200) ?? null }, switchedOff(upstream)),
  );
  app.log.warn("switched_off", { subject });
  return { streamsCut: await streamsCut(app, [switchedOff(upstream)], since) };
}

/** Failures: `usage` when there is no such upstream. False when it was on already. */
export async function switchOn(
  app: Pick<App, "db" | "catalog" | "log">,
  upstream: string,
): Promise<boolean> {
  const subject = `upstream:${upstream}`;
  const wasOff = await timely(removeSwitch(app.db, subject, switchedOn(upstream)));
  // One that is not configured any more can still be cleared.
  if (!wasOff) refuseUnknown(app, upstream);
  if (wasOff) app.log.info("switched_on", { subject });
  return wasOff;
}

function refuseUnknown({ catalog }: Pick<App, "catalog">, upstream: string): void {
  if (catalog.upstreams.has(upstream)) return;
  throw new Failure("usage", `There is no upstream ${upstream}`, {
    hint: `There are ${[...catalog.upstreams.keys()].join(", ")}`,
  });
}

/** How many streams gateways have ended for these subjects, once all of them have had their two seconds. */
export async function streamsCut(
  app: Pick<App, "db">,
  subjects: readonly string[],
  since: Date,
): Promise<number> {
  await sleep(toldMs);
  return await timely(eventCount(app.db, "streams_cut", { subjects, since }));
}
