import { forgetEndings } from "#db/endings.ts";
import { forgetAgents, forgetAssertions } from "#src/agents/clients/store.ts";
import { forgetDevices } from "#src/agents/devices/store.ts";
import { endSpentGrants, forgetAuthorizations } from "#src/agents/grants/store.ts";
import { forgetSigningKeys } from "#src/agents/tokens/store.ts";
import type { App } from "#src/app.ts";
import { forgetAttempts, forgetInvites, forgetSignIns } from "#src/people/store.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";

/** Longer than any access token lives: an ending is what ends a token of an agent's own. */
const endingsMs = 2 * 3_600_000;

/** Removes what nobody can use any more; what fails is left for the next time. Any number of replicas may do it. */
export async function tidy(app: Pick<App, "db" | "now" | "log">): Promise<void> {
  const now = app.now();
  const { db } = app;
  const steps = [
    forgetAttempts(db, now),
    forgetSignIns(db, now),
    forgetInvites(db, now),
    endSpentGrants(db, now),
    forgetAuthorizations(db, now),
    forgetDevices(db, now),
    forgetAssertions(db, now),
    forgetAgents(db),
    forgetSigningKeys(db),
    forgetEndings(db, new Date(now.getTime() - endingsMs)),
  ];
  for (const outcome of await Promise.allSettled(steps)) {
    if (outcome.status === "rejected") app.log.warn("tidy_failed", troubleOf(outcome.reason));
  }
}
