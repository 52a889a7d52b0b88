import { setTimeout as sleep } from "node:timers/promises";
import { type Published, type Topic, isTopic, topicsChannel, publishedSince } from "#db/topics.ts";
import {
  type Acknowledged,
  type Acknowledgement,
  acknowledge,
  acknowledgementsOf,
  forgetReplica,
  heartbeat,
} from "#db/replicas.ts";
import { databaseNow } from "#db/ping.ts";
import type { App } from "./app.ts";
import { Failure } from "./failure.ts";
import { timely, within } from "./clock.ts";
import type { DatabaseWatch } from "./telemetry/database-health.ts";
import { errorFields } from "./telemetry/error-fields.ts";

/*
 * What replicas tell each other. Whoever ends or switches something writes it into `endings` in the same transaction
 * (`db/topics.ts:publish`). Every gateway acts upon it (`subscribe`): at once where PostgreSQL's notifications
 * arrive, within a second where they do not (a transaction-mode pooler), and all of it after the database was away.
 * Then it acknowledges it, and `acknowledged` tells whoever waits.
 */

/** Forgets what rests on these topics (`grant:ID`, `session:ID`, …) here and now; says how many open streams it closed. */
export type ApplyRevocations = (topics: readonly Topic[]) => number;

/**
 * Acts upon topics; says how many open streams it closed for them. When it rejects, nothing is acknowledged and
 * the same topics come again within a second or two.
 */
export type Subscriber = (topics: readonly Topic[]) => Promise<number>;

type Subscription = { stop(): Promise<void> };

const everyMs = 1000;
const answerMs = 800;
/** Rows become visible when their transaction commits, a little after the moment they carry. */
const overlapMs = 30_000;
const mostUnwritten = 10_000;

type Deps = Pick<App, "db" | "log" | "listen" | "replica"> & {
  readonly databaseWatch: Pick<DatabaseWatch, "answered">;
};

/** Passes everything on to `subscriber` from now on, and says once a second that this gateway runs. */
export function subscribe(app: Deps, subscriber: Subscriber): Subscription {
  const stopping = new AbortController();
  const reader = new Reader(app, subscriber);
  app
    .listen(topicsChannel, (message) => reader.hear(message))
    .catch((error: unknown) => {
      app.log.warn("endings_not_heard", errorFields(error));
    });
  const reading = readOn(app, reader, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      await reading;
      await timely(forgetReplica(app.db, app.replica)).catch(() => undefined);
    },
  };
}

async function readOn(app: Deps, reader: Reader, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    await reader.read().then(
      () => app.log.over("endings_not_read"),
      (error: unknown) => app.log.lasting("endings_not_read", errorFields(error)),
    );
    await sleep(everyMs, undefined, { signal: stopping, ref: false }).catch(() => undefined);
  }
}

/** Remembers how far it has read, by the database's clock, and what it has already passed on. */
class Reader {
  readonly #app: Deps;
  readonly #subscriber: Subscriber;
  #readTo: Date | undefined;
  /** Ids, and when they were passed on, by a clock that nobody sets. */
  readonly #passedOn = new Map<string, number>();
  #unwritten: Acknowledgement[] = [];

  constructor(app: Deps, subscriber: Subscriber) {
    this.#app = app;
    this.#subscriber = subscriber;
  }

  /** An id and a topic, told with the commit; reading finds it again. */
  hear(message: string): void {
    const [id = "", subject = ""] = message.split(/ (.*)/s);
    void this.#passOn([{ id, subject }]);
  }

  async read(): Promise<void> {
    const late = () => new Failure("database_unavailable");
    const { db, replica, databaseWatch } = this.#app;
    // The first time, too: what was told while this gateway was starting is not missed.
    const from = this.#readTo && new Date(this.#readTo.getTime() - overlapMs);
    const { now, published } = await within(answerMs, publishedSince(db, from, overlapMs), late);
    this.#readTo = now;
    databaseWatch.answered();
    const forgetAt = performance.now() - 2 * overlapMs;
    for (const [id, at] of this.#passedOn) if (at < forgetAt) this.#passedOn.delete(id);
    void this.#passOn(published);
    await within(answerMs, heartbeat(db, replica), late);
    if (this.#unwritten.length > 0) await this.#acknowledge();
  }

  /** Never rejects: what could not be done comes again with the next reading. */
  async #passOn(told: readonly Published[]): Promise<void> {
    // What only a newer version knows is not acted upon here, and so not acknowledged.
    const fresh = told.filter(isKnown).filter(({ id }) => !this.#passedOn.has(id));
    if (fresh.length === 0) return;
    for (const { id } of fresh) this.#passedOn.set(id, performance.now());
    try {
      const streams = await this.#subscriber(fresh.map(({ subject }) => subject));
      this.#app.log.over("endings_not_followed");
      // The streams belong to all of them together: counted once.
      this.#unwritten.push(
        ...fresh.map(({ id }, index) => ({ id, streams: index === 0 ? streams : 0 })),
      );
      await this.#acknowledge();
    } catch (error) {
      for (const { id } of fresh) this.#passedOn.delete(id);
      this.#app.log.lasting("endings_not_followed", errorFields(error));
    }
  }

  /** What is not written stays for the next reading. */
  async #acknowledge(): Promise<void> {
    const done = this.#unwritten;
    this.#unwritten = [];
    try {
      await timely(acknowledge(this.#app.db, this.#app.replica, done));
      this.#app.log.over("acknowledgement_not_stored");
    } catch (error) {
      this.#unwritten = [...done, ...this.#unwritten].slice(-mostUnwritten);
      this.#app.log.lasting("acknowledgement_not_stored", errorFields(error));
    }
  }
}

function isKnown(told: Published): told is Published & { readonly subject: Topic } {
  return isTopic(told.subject);
}

const [longestMs, lookMs] = [2000, 20];

/** Does `work`, then waits until every gateway that runs has acted upon the topics it returns; see `acknowledged`. */
export async function untilAcknowledged(
  app: Pick<App, "db">,
  work: () => Promise<readonly Topic[]>,
): Promise<Acknowledged> {
  const since = await databaseNow(app.db);
  return await acknowledged(app, await work(), since);
}

/**
 * Waits until every gateway that runs has acted upon these topics, told since `since` (the database's clock).
 * Two seconds at most: then `by` is smaller than `of`. A gateway runs when it was seen within three seconds.
 */
export async function acknowledged(
  app: Pick<App, "db">,
  topics: readonly Topic[],
  since: Date,
): Promise<Acknowledged> {
  const deadline = performance.now() + longestMs;
  for (;;) {
    const now = await timely(acknowledgementsOf(app.db, topics, since));
    if (now.by >= now.of || performance.now() >= deadline) return now;
    await sleep(lookMs);
  }
}
