import { setTimeout as sleep } from "node:timers/promises";
import { endingsChannel, endingsSince } from "#db/endings.ts";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/once.ts";
import type { DatabaseWatch } from "#src/telemetry/database-health.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";

/** Forgets what rests on these subjects (`grant:ID`, `session:ID`, …) and cuts its open streams, here and now. */
export type LetGo = (subjects: readonly string[]) => void;

export type EndingsFeed = { stop(): Promise<void> };

const everyMs = 1000;
const answerMs = 800;
/** Rows become visible when their transaction commits, a little after the moment they carry. */
const overlapMs = 30_000;

type Following = Pick<App, "db" | "log" | "listen"> & {
  readonly databaseWatch: Pick<DatabaseWatch, "answered">;
};

/**
 * Hears what other replicas have ended: at once where PostgreSQL's notifications arrive, within a second
 * where they do not (a transaction-mode pooler), and all of it after the database was away.
 */
export function followEndings(app: Following, letGo: LetGo): EndingsFeed {
  const stopping = new AbortController();
  const reader = new EndingsReader(app, letGo);
  app
    .listen(endingsChannel, (message) => reader.hear(message))
    .catch((error: unknown) => {
      app.log.warn("endings_not_heard", troubleOf(error));
    });
  const reading = readOn(app, reader, stopping.signal);
  return {
    stop: () => {
      stopping.abort();
      return reading;
    },
  };
}

async function readOn(app: Following, reader: EndingsReader, stopping: AbortSignal): Promise<void> {
  let trouble = "";
  while (!stopping.aborted) {
    const now = await reader.read().then(
      () => "",
      (error: unknown) => JSON.stringify(troubleOf(error)),
    );
    // Once for each outage, not once a second.
    if (now !== "" && trouble === "") app.log.warn("endings_not_read", { trouble: now });
    trouble = now;
    await sleep(everyMs, undefined, { signal: stopping, ref: false }).catch(() => undefined);
  }
}

/** Remembers how far it has read, by the database's clock, and what it has already passed on. */
class EndingsReader {
  readonly #app: Following;
  readonly #letGo: LetGo;
  #readTo: Date | undefined;
  #passedOn = new Set<string>();

  constructor(app: Following, letGo: LetGo) {
    this.#app = app;
    this.#letGo = letGo;
  }

  /** An id and a subject, told with the commit; reading finds it again. */
  hear(message: string): void {
    const [id = "", subject = ""] = message.split(/ (.*)/s);
    if (this.#passedOn.has(id)) return;
    this.#passedOn.add(id);
    this.#letGo([subject]);
  }

  async read(): Promise<void> {
    const late = () => new Failure("database_unavailable");
    const from =
      this.#readTo === undefined ? undefined : new Date(this.#readTo.getTime() - overlapMs);
    const { now, ended } = await within(answerMs, endingsSince(this.#app.db, from), late);
    const fresh = ended.filter(({ id }) => !this.#passedOn.has(id));
    this.#passedOn = new Set(ended.map(({ id }) => id));
    this.#readTo = now;
    this.#app.databaseWatch.answered();
    if (fresh.length > 0) this.#letGo(fresh.map(({ subject }) => subject));
  }
}
