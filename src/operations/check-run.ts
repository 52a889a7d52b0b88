import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { endsWithin, timely } from "#src/timeout.ts";
import { type CheckReport, newestCheckReports } from "./check-report-store.ts";

/** Executes this program once more, with the same settings and other words; resolves with its exit code, undefined when it was cut off. */
export type OwnProgram = (words: readonly string[]) => Promise<number | undefined>;

/** What has not ended by then has ended without a report. */
const longestCheckMs = 3 * 60_000;
/** A quick check is over by then, so that whoever has asked for it sees what it found. */
const waitedMs = 15_000;

/** Whether a check is still at work, wherever it was started. */
export function isCheckRunning({ status, at }: CheckReport, now: Date): boolean {
  return status === null && now.getTime() - at.getTime() < longestCheckMs;
}

export type CheckRunner = {
  /**
   * Starts `smartdash check` as a process of its own, which stores its report. Returns when it has ended, or after a quarter of a
   * minute. One at a time on a gateway, and none while another is at work. Failures: `check_running`, `check_not_run` when it ends
   * without a report, `database_unavailable`.
   */
  run(asked: { readonly by: string; readonly isQuick: boolean }): Promise<void>;
};

export function createCheckRunner(
  app: Pick<App, "db" | "now" | "log">,
  ownProgram: OwnProgram,
): CheckRunner {
  let isStarted = false;

  async function execute(words: readonly string[]): Promise<void> {
    const [newest] = await timely(newestCheckReports(app.db, 1));
    if (newest !== undefined && isCheckRunning(newest, app.now())) {
      throw new Failure("check_running");
    }
    const exit = await ownProgram(words);
    // 1: something must be done, which is what the report says.
    if (exit === 0 || exit === 1) return;
    const how = exit === undefined ? "was cut off" : `ended with ${exit}`;
    throw new Failure("check_not_run", `smartdash check ${how}, without a report`);
  }

  return {
    async run({ by, isQuick }) {
      if (isStarted) throw new Failure("check_running");
      isStarted = true;
      const words = ["check", "--json", "--by", by, ...(isQuick ? ["--quick"] : [])];
      const ended = execute(words).finally(() => {
        isStarted = false;
      });
      // Who has asked may have gone by then.
      ended.catch((error: unknown) => app.log.warn("check_not_run", { by, ...errorFields(error) }));
      if (await endsWithin(ended, waitedMs)) await ended;
    },
  };
}
