import { startScript } from "./owned.ts";
import type { JobMessage, JobName, JobResult, Jobs } from "./jobs.ts";

/** Runs one job in the load generator's process; fails with that process's words. */
export type RunJob = <Name extends JobName>(
  job: Name,
  ask: Jobs[Name]["ask"],
) => Promise<Jobs[Name]["answer"]>;

export async function startLoadGenerator(): Promise<RunJob> {
  let waiting: PromiseWithResolvers<unknown> | undefined;
  const { child } = await startScript("load.ts", [], {
    onMessage(message) {
      if (!isResult(message)) return;
      if ("error" in message) waiting?.reject(new Error(message.error));
      else waiting?.resolve(message.answer);
    },
  });
  void child.exited.then(() => waiting?.reject(new Error("the load generator ended")));
  return async (job, ask) => {
    waiting = Promise.withResolvers();
    child.send({ job, ask } satisfies JobMessage);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- load.ts gives each job its own answer
    return (await waiting.promise) as Jobs[typeof job]["answer"];
  };
}

function isResult(message: unknown): message is JobResult {
  return (
    typeof message === "object" && message !== null && ("error" in message || "answer" in message)
  );
}
