import { openJournal } from "#src/accounts/journal/journal.ts";
import { type RefreshDeps, createRefreshParts } from "#src/accounts/refresh/deps.ts";
import { createSingleFlight } from "#src/single-flight.ts";
import type { App } from "#src/app.ts";
import type { World } from "./world.ts";

export type RefreshingApp = AsyncDisposable & { readonly app: RefreshDeps & App };

/** What refreshes credentials, as another process with the world's database and journal would. */
export async function refreshingAs(
  world: World,
  change: (app: App) => App = (app) => app,
): Promise<RefreshingApp> {
  const replica = crypto.randomUUID();
  const app = change({
    ...world.app,
    replica,
    singleFlight: createSingleFlight(),
    publicUrl: world.url,
  });
  const journal = await openJournal(app);
  return {
    app: { ...app, ...createRefreshParts(app, journal) },
    async [Symbol.asyncDispose]() {
      journal.holders.leave();
    },
  };
}
