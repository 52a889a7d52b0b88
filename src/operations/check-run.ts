import type { App } from "#src/app.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { plain } from "#src/telemetry/redact.ts";
import { endsWithin, timely } from "#src/clock.ts";
import { beginOnlyCheck, endCheck } from "./check-report-store.ts";

/** How a program has ended: its exit code, undefined when it was cut off, and the last of what it said on stderr. */
export type Ended = { readonly exit: number | undefined; readonly said: string };
/** Executes this program once more, with the same settings and other words. */
export type OwnProgram = (words: readonly string[]) => Promise<Ended>;

/** A quick check is over by then, so that whoever has asked for it sees what it found. */
const quickMs = 15_000;
/** What cannot even begin has ended by then. */
const beginMs = 1000;

export type CheckRunner = {
  /**
   * Starts `smartdash check` as a process of its own, which stores its report. Returns when it has ended; a whole one goes on
   * after a second, a quick one after a quarter of a minute. One at a time, over all replicas.
   * Failures: `check_running`, `check_not_run` when it ends without a report, `database_unavailable`.
   */
  run(asked: { readonly by: string; readonly isQuick: boolean }): Promise<void>;
};

export function createCheckRunner(
  app: Pick<App, "db" | "now" | "log">,
  ownProgram: OwnProgram,
): CheckRunner {
  /** What went wrong, if it ends without a report. */
  async function execute(id: string, isQuick: boolean): Promise<Failure | undefined> {
    const { exit, said } = await ownProgram([
      "check",
      "--into",
      id,
      ...(isQuick ? ["--quick"] : []),
    ]);
    if (await timely(endCheck(app.db, id))) return undefined;
    const how = exit === undefined ? "was cut off" : `ended with ${exit}`;
    app.log.warn("check_not_run", { id, exit, reason: plain(said) });
    return new Failure("check_not_run", `smartdash check ${how}, without a report`);
  }

  return {
    async run({ by, isQuick }) {
      const id = await timely(beginOnlyCheck(app.db, by, app.now()));
      if (id === undefined) throw new Failure("check_running");
      const ended = execute(id, isQuick).catch((error: unknown) => {
        app.log.warn("check_not_run", { id, ...errorFields(error) });
        return asFailure(error);
      });
      const failure = (await endsWithin(ended, isQuick ? quickMs : beginMs))
        ? await ended
        : undefined;
      if (failure !== undefined) throw failure;
    },
  };
}
