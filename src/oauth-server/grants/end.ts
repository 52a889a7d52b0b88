import type { App } from "#src/app.ts";
import type { LetGo } from "#src/bus.ts";
import { endGrants } from "./store.ts";

export type EndingGrants = Pick<App, "db" | "now" | "log"> & { readonly letGo: LetGo };

/** Ends a grant with everything that rests on it, here at once, elsewhere within two seconds. */
export async function endGrant(
  app: EndingGrants,
  which: { id: string; personId?: string },
  why: string,
): Promise<void> {
  const subjects = await endGrants(app.db, which, app.now());
  app.letGo(subjects);
  if (subjects.length > 0) app.log.info("grant_ended", { grantId: which.id, why });
}
