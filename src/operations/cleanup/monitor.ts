import { asFailure } from "#src/failure.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { createOutbound } from "#src/http/fetch-exchange.ts";

const [limitMs, tries, pauseMs] = [10_000, 5, 500];

/**
 * Does `work` and tells a monitor as healthchecks.io wants it: `/start` before, the bare address after, `/fail`
 * when it failed. A monitor that does not answer changes nothing.
 */
export async function pinging<T extends object>(
  url: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (url === undefined) return await work();
  await tellMonitor(`${trimmed(url)}/start`, "");
  try {
    const outcome = await work();
    await tellMonitor(trimmed(url), JSON.stringify(outcome));
    return outcome;
  } catch (error) {
    await tellMonitor(`${trimmed(url)}/fail`, asFailure(error).code);
    throw error;
  }
}

function trimmed(url: string): string {
  return url.replace(/(?<!\/)\/+$/, "");
}

/** Five tries of ten seconds. Whether it was taken; never rejects. */
async function tellMonitor(url: string, body: string): Promise<boolean> {
  const outbound = createOutbound(limitMs);
  const headers = { "content-type": "text/plain; charset=utf-8" };
  for (let attempt = 1; attempt <= tries; attempt++) {
    const answer = await outbound(url, { method: "POST", headers, body }).catch(() => undefined);
    if (answer !== undefined && answer.status < 400) return true;
    await sleep(pauseMs * attempt);
  }
  return false;
}
