/** The load generator: a process of its own that does one job after the other for its parent. */
import { measureCalls } from "./calls.ts";
import { announce } from "./child.ts";
import type { JobMessage, JobName, JobResult, Jobs } from "./jobs.ts";
import { measurePacedCalls } from "./paced-calls.ts";
import { closeStreams, measureFirstEvents, openStreams } from "./streams.ts";

const workers: { [Name in JobName]: (ask: Jobs[Name]["ask"]) => Promise<Jobs[Name]["answer"]> } = {
  calls: measureCalls,
  pacedCalls: measurePacedCalls,
  firstEvents: measureFirstEvents,
  openStreams,
  closeStreams,
};

// The parent is main.ts, which sends nothing but jobs made by `LoadGenerator.run`.
process.on("message", (message: JobMessage) => {
  void work(message).then((result) => process.send?.(result));
});
announce({ url: "" });

async function work({ job, ask }: JobMessage): Promise<JobResult> {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- RunJob pairs each job with its own question
    const worker = workers[job] as (ask: unknown) => Promise<unknown>;
    return { answer: await worker(ask) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
