import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";

/** A small table of the database that every process keeps whole. */
export type Mirror = {
  /** Reads it. Failures: `database_unavailable`: a gateway does not begin to serve without knowing. */
  load(): Promise<void>;
  /** It has changed, or may have. */
  changed(): void;
  /** Failures: `database_unavailable` once it has not been read for too long. */
  expectRecent(): void;
  stop(): void;
};

const [againMs, everyMs] = [500, 30_000];
/** What was last known holds for so long without the database; a clock that is set does not count. */
const mirrorHoldsMs = 90_000;

/**
 * Changes are told like endings: at once where notifications arrive, within a second where they do not. Besides,
 * the table is read every 30 seconds. An answer that was overtaken by a later one does not count.
 */
export function createMirror<T>(
  app: Pick<App, "log">,
  table: {
    readonly name: string;
    readonly read: () => Promise<T>;
    readonly keep: (rows: T) => void;
  },
): Mirror {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  let [asked, known, readAt] = [0, 0, Number.NEGATIVE_INFINITY];
  const load = async () => {
    const turn = ++asked;
    const rows = await table.read();
    readAt = performance.now();
    if (turn < known) return;
    known = turn;
    table.keep(rows);
  };
  const reload = async () => {
    clearTimeout(timer);
    const wait = await load().then(
      () => everyMs,
      (error: unknown) => {
        app.log.warn(`${table.name}_not_read`, troubleOf(error));
        return againMs;
      },
    );
    again(wait);
  };
  const again = (wait: number) => {
    clearTimeout(timer);
    if (!isStopped) timer = setTimeout(() => void reload(), wait);
  };
  return {
    async load() {
      await load();
      again(everyMs);
    },
    changed: () => void reload(),
    expectRecent() {
      if (performance.now() - readAt > mirrorHoldsMs) throw new Failure("database_unavailable");
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
