import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";

/** A small table of the database that every process keeps whole. */
export type ReplicatedTable = {
  /** Reads it. Failures: `database_unavailable`: a gateway does not begin to serve without knowing. */
  load(): Promise<void>;
  /** It has changed, or may have. Failures: `database_unavailable` when it could not be read; it is tried again. */
  changed(): Promise<void>;
  /** Until then what was last read holds; by `performance.now()`, a clock that nobody sets. */
  readonly holdsUntil: number;
  stop(): void;
};

const [againMs, everyMs] = [500, 30_000];
/** What was last known holds for so long without the database. */
const tableHoldsMs = 90_000;

type Table<T> = {
  readonly name: string;
  readonly read: () => Promise<T>;
  readonly keep: (rows: T) => void;
};

/**
 * Changes are told like revocations: at once where notifications arrive, within a second where they do not. Besides,
 * the table is read every 30 seconds. An answer that was overtaken by a later one does not count.
 */
export function createReplicatedTable<T>(app: Pick<App, "log">, table: Table<T>): ReplicatedTable {
  return new TableMirror(app, table);
}

class TableMirror<T> implements ReplicatedTable {
  readonly #app: Pick<App, "log">;
  readonly #table: Table<T>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;
  #asked = 0;
  #known = 0;
  holdsUntil = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(app: Pick<App, "log">, table: Table<T>) {
    this.#app = app;
    this.#table = table;
  }

  async load(): Promise<void> {
    await this.#read();
    this.#again(everyMs);
  }

  changed(): Promise<void> {
    if (this.#running === undefined) return this.#run();
    // What runs may have begun before the change: one more for all who come meanwhile.
    const again = () => {
      this.#next = undefined;
      return this.#run();
    };
    this.#next ??= this.#running.then(again, again);
    return this.#next;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #read(): Promise<void> {
    const turn = ++this.#asked;
    const rows = await this.#table.read();
    this.holdsUntil = performance.now() + tableHoldsMs;
    if (turn < this.#known) return;
    this.#known = turn;
    this.#table.keep(rows);
  }

  #run(): Promise<void> {
    this.#running = this.#reload().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #reload(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      await this.#read();
      this.#app.log.over(`${this.#table.name}_not_read`);
      this.#again(everyMs);
    } catch (error) {
      this.#app.log.lasting(`${this.#table.name}_not_read`, errorFields(error));
      this.#again(againMs);
      throw new Failure("database_unavailable");
    }
  }

  #again(wait: number): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.changed().catch(() => undefined), wait);
  }
}
