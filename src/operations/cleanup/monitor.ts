import { asFailure } from "#src/failure.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { createOutbound } from "#src/http/fetch-exchange.ts";

const [limitMs, tries, pauseMs] = [5000, 3, 500];

/**
 * Does `work` and tells a monitor as healthchecks.io wants it: `/start` before, the bare address after, `/fail`
 * when it failed. A monitor that does not answer changes nothing; `warn` is told of it. What it is told before the work
 * is said once, so that the work need not wait.
 */
export async function pinging<T extends object>(
  url: string | undefined,
  { work, warn }: { readonly work: () => Promise<T>; readonly warn: (message: string) => void },
): Promise<T> {
  if (url === undefined) return await work();
  const tell = async (end: string, body: string, times: number) => {
    // What comes behind the host is a secret.
    const { host } = new URL(url);
    const isTaken = await tellMonitor(`${trimmed(url)}${end}`, body, times);
    if (!isTaken) warn(`The monitor at ${host} did not take ${end === "" ? "the end" : end}.`);
  };
  await tell("/start", "", 1);
  try {
    const outcome = await work();
    await tell("", JSON.stringify(outcome), tries);
    return outcome;
  } catch (error) {
    await tell("/fail", asFailure(error).code, tries);
    throw error;
  }
}

function trimmed(url: string): string {
  return url.replace(/(?<!\/)\/+$/, "");
}

/** So many tries of five seconds. Whether it was taken; never rejects. */
async function tellMonitor(url: string, body: string, times: number): Promise<boolean> {
  const outbound = createOutbound(limitMs);
  const headers = { "content-type": "text/plain; charset=utf-8" };
  for (let attempt = 1; attempt <= times; attempt++) {
    const answer = await outbound(url, { method: "POST", headers, body }).catch(() => undefined);
    if (answer !== undefined && answer.status < 400) return true;
    if (attempt < times) await sleep(pauseMs * attempt);
  }
  return false;
}
