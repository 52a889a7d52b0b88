import { setTimeout as sleep } from "node:timers/promises";
import { type Topic, publish } from "#db/topics.ts";
import { eventCount } from "#db/events.ts";
import { databaseNow } from "#db/ping.ts";
import type { App } from "#src/app.ts";

/** What tells every gateway of this node to say that it is here. */
export function announceTopic(of: string): Topic {
  return `announce:${of}`;
}

const [toldMs, stepMs] = [3000, 100];

/** Asks the running gateways of a node to announce it: `announced`, `nowhere` when they know no way, `unheard` when none runs. */
export async function askToAnnounce(
  app: Pick<App, "db">,
  of: string,
): Promise<"announced" | "nowhere" | "unheard"> {
  const subject = announceTopic(of);
  const since = await databaseNow(app.db);
  await publish(app.db, [subject]);
  const which = { subjects: [subject], since };
  for (let waited = 0; waited < toldMs; waited += stepMs) {
    await sleep(stepMs);
    if ((await eventCount(app.db, "announced", which)) > 0) return "announced";
    if ((await eventCount(app.db, "announced_nowhere", which)) > 0) return "nowhere";
  }
  return "unheard";
}
