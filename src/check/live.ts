import { openColumn } from "#src/accounts/credential.ts";
import { identify } from "#src/accounts/identity.ts";
import { connectable } from "#src/accounts/registration.ts";
import { tryRegistration } from "#src/accounts/try-registration.ts";
import { accountById, liveAccounts } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { asFailure } from "#src/failure.ts";
import { type CheckResult, pass, problem, skipped } from "./result.ts";

/** Whether providers know this application; touches nobody's account. */
export async function providersKnowUs(app: App): Promise<readonly CheckResult[]> {
  const registrations = connectable(app);
  if (registrations.length === 0) {
    return [skipped(2, "application_known", "What providers know: none is configured")];
  }
  const all = registrations.map(async ({ provider: { name } }) => {
    const { outcome, code, milliseconds } = await tryRegistration(app, name);
    const words = `${name} (${code}, ${milliseconds} ms)`;
    if (outcome === "refused")
      return problem("application_unknown", `${words} refuses this client`);
    if (outcome === "unreachable")
      return problem("provider_unreachable", `${words} is not reached`);
    if (outcome === "accepted")
      return pass(2, "application_known", `${words} knows this application`);
    return skipped(2, "application_known", `${words} says nothing about this application`);
  });
  return await Promise.all(all);
}

/** With `--live`: one account of each provider whose token is good is asked who it is. Nothing is renewed or written. */
export async function liveAccountsWork(app: App): Promise<readonly CheckResult[]> {
  const accounts = await liveAccounts(app.db, 500);
  const registrations = connectable(app);
  if (registrations.length === 0) {
    return [skipped(9, "live_account", "Real accounts: no provider is configured")];
  }
  const found = registrations.map(async ({ provider }) => {
    const isUsable = (ends: Date | null) => ends !== null && ends > app.now();
    const one = accounts.find(
      (each) =>
        each.provider === provider.name &&
        each.state === "active" &&
        isUsable(each.accessExpiresAt),
    );
    const account = one === undefined ? undefined : await accountById(app.db, one.id);
    if (account === undefined) {
      return skipped(9, "live_account", `${provider.name}: no account with a good access token`);
    }
    try {
      const access = openColumn(app, account, "accessToken");
      const { sellerId } = await identify(app, provider, { access, fields: undefined });
      const isSame = sellerId === account.sellerId;
      return isSame
        ? pass(9, "live_account", `${provider.name} answers for a real account`)
        : problem("live_failed", `${provider.name} names another owner than is stored`);
    } catch (error) {
      return problem("live_failed", `${provider.name}: ${asFailure(error).code}`);
    }
  });
  return await Promise.all(found);
}
