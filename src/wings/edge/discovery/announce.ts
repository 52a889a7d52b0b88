import { setTimeout as sleep } from "node:timers/promises";
import { recordEndings } from "#db/endings.ts";
import { eventCount } from "#db/events.ts";
import { databaseNow } from "#db/ping.ts";
import type { App } from "#src/app.ts";

/** What tells every gateway of this node to say that it is here. */
export function announceSubject(of: string): string {
  return `announce:${of}`;
}

const [toldMs, stepMs] = [3000, 100];

/** Asks the running gateway of a node to announce it; returns in how many ways it did, undefined when none runs. */
export async function askToAnnounce(app: Pick<App, "db">, of: string): Promise<number | undefined> {
  const subject = announceSubject(of);
  const since = await databaseNow(app.db);
  await recordEndings(app.db, [subject]);
  for (let waited = 0; waited < toldMs; waited += stepMs) {
    await sleep(stepMs);
    const ways = await eventCount(app.db, "announced", { subjects: [subject], since });
    // What it is by no way counts as one too many: it was heard.
    if (ways > 0) return ways - 1;
  }
  return undefined;
}
