import { forgetEndings } from "#db/endings.ts";
import { forgetAgents, forgetAssertions } from "#src/agents/clients/store.ts";
import { forgetDevices } from "#src/agents/devices/store.ts";
import { forgetAuthorizations } from "#src/agents/grants/store.ts";
import { forgetSigningKeys } from "#src/agents/tokens/store.ts";
import type { App } from "#src/app.ts";
import { forgetAttempts } from "#src/people/store.ts";

/** Longer than any access token lives: an ending is what ends a token of an agent's own. */
const endingsMs = 2 * 3_600_000;

/** Removes what nobody can use any more. Any number of replicas may do it at once. */
export async function tidy(app: Pick<App, "db" | "now">): Promise<void> {
  const now = app.now();
  await forgetAttempts(app.db, now);
  await forgetAuthorizations(app.db, now);
  await forgetDevices(app.db, now);
  await forgetAssertions(app.db, now);
  await forgetAgents(app.db);
  await forgetSigningKeys(app.db);
  await forgetEndings(app.db, new Date(now.getTime() - endingsMs));
}
