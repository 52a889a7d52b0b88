import { openHeld } from "#src/accounts/credential.ts";
import { identify } from "#src/accounts/identity.ts";
import type { ReadAccount } from "#src/accounts/store.ts";
import type { Provider } from "#src/providers/provider.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import { timely } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { accountsAboutToLapse, takeIdle } from "./store.ts";

export type IdleAccountDeps = Pick<
  RefreshDeps,
  "db" | "log" | "catalog" | "outbound" | "now" | "seal" | "journal"
>;

/** A provider that forgets a connection after N days without a call is called four times in N days. */
const callsPerIdleTime = 4;
const warnDays = 7;
const mostAtOnce = 50;

/**
 * Keeps connections alive that nobody uses, and warns of refresh tokens that end within seven days although
 * they should have been renewed long before. Never rejects.
 */
export async function keepAlive(app: IdleAccountDeps, stopping?: AbortSignal): Promise<void> {
  try {
    await warnOfLapses(app);
    for (const provider of app.catalog.providers.values()) await callIdle(app, provider, stopping);
    app.log.over("keep_alive_failed");
  } catch (error) {
    app.log.lasting("keep_alive_failed", errorFields(error));
  }
}

async function warnOfLapses(app: IdleAccountDeps): Promise<void> {
  for (const account of await timely(accountsAboutToLapse(app.db, warnDays))) {
    const { id: accountId, provider, refreshExpiresAt, lastError } = account;
    const endsAt = refreshExpiresAt?.toISOString();
    app.log.error("refresh_token_lapses", { accountId, provider, endsAt, code: lastError });
  }
}

/** Each account once, by whichever replica takes it first; a failed call is not repeated before its time. */
async function callIdle(
  app: IdleAccountDeps,
  provider: Provider,
  stopping: AbortSignal | undefined,
): Promise<void> {
  const { idleDays } = provider.refresh;
  if (idleDays === undefined) return;
  for (let count = 0; count < mostAtOnce; count++) {
    if (stopping?.aborted === true) return;
    const account = await timely(takeIdle(app.db, provider.name, idleDays / callsPerIdleTime));
    if (account === undefined) return;
    await callOnce(app, provider, account);
  }
}

async function callOnce(app: IdleAccountDeps, provider: Provider, account: ReadAccount) {
  const facts = { accountId: account.id, provider: provider.name };
  try {
    const { access } = openHeld(app, account);
    await identify(app, provider, { access, fields: undefined });
    app.log.info("account_kept_alive", facts);
  } catch (error) {
    app.log.warn("keep_alive_failed", { ...facts, ...errorFields(error) });
  }
}
