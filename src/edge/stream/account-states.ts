import type { App } from "#src/app.ts";
import { timely } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { statesOf } from "./store.ts";

/** Looks whether the accounts of open streams can still be used; nobody is asked while there are none. */
export type AccountStates = {
  /** Until the returned function is called. */
  follow(accountId: string): () => void;
  stop(): void;
};

const everyMs = 2000;

export function watchAccounts(
  app: Pick<App, "db" | "log">,
  changed: (accountId: string, state: string) => void,
): AccountStates {
  const followed = new Map<string, { count: number; state: string | undefined }>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const note = (id: string, state: string) => {
    const one = followed.get(id);
    if (one === undefined) return;
    if (one.state !== undefined && one.state !== state) changed(id, state);
    one.state = state;
  };

  async function look(): Promise<void> {
    try {
      // Whoever comes while the database is asked was not asked about.
      const asked = [...followed.keys()];
      const states = await timely(statesOf(app.db, asked));
      for (const id of asked) note(id, states.get(id) ?? "revoked");
    } catch (error) {
      app.log.debug("accounts_not_looked_at", errorFields(error));
    }
    again();
  }

  const again = () => {
    clearTimeout(timer);
    timer = followed.size === 0 ? undefined : setTimeout(() => void look(), everyMs).unref();
  };

  return {
    follow(accountId) {
      const one = followed.get(accountId) ?? { count: 0, state: undefined };
      one.count += 1;
      followed.set(accountId, one);
      if (one.state === undefined) void look();
      return () => {
        one.count -= 1;
        if (one.count <= 0) followed.delete(accountId);
      };
    },
    stop() {
      followed.clear();
      clearTimeout(timer);
    },
  };
}
