import { connectable } from "#src/accounts/registration.ts";
import type { App } from "#src/app.ts";
import { type CheckResult, pass, problem } from "./result.ts";
import { oauthAccounts } from "./store.ts";

type Deps = Pick<App, "db" | "catalog" | "config" | "publicUrl">;

type Unconfigured = {
  readonly provider: string;
  readonly accounts: number;
  /** The MCP servers that need these accounts. */
  readonly upstreams: readonly string[];
};

/** Accounts that came by OAuth from a provider that the settings do not configure (any more): they cannot be renewed. */
export async function accountsWithoutProvider(app: Deps): Promise<readonly Unconfigured[]> {
  const configured = new Set(connectable(app).map(({ provider }) => provider.name));
  const found = (await oauthAccounts(app.db)).filter(({ provider }) => !configured.has(provider));
  return found.map(({ provider, accounts }) => {
    const needing = [...app.catalog.upstreams.values()].filter(
      ({ credential }) => credential.kind === "account" && credential.provider === provider,
    );
    return { provider, accounts, upstreams: needing.map(({ name }) => name) };
  });
}

/** Chapter 2: nobody's connection is left without its provider. */
export async function providersOfAccounts(app: Deps): Promise<readonly CheckResult[]> {
  const found = await accountsWithoutProvider(app);
  if (found.length === 0) {
    return [pass(2, "providers_of_accounts", "The provider of every account is configured")];
  }
  const { defaultUpstream } = app.catalog;
  return found.map(({ provider, accounts, upstreams }) => {
    const named = upstreams.map((name) => (name === defaultUpstream ? `${name} (default)` : name));
    const needed = named.length === 0 ? "" : `; needed by ${named.join(", ")}`;
    const words = `${provider} is not configured. Accounts of it in the database: ${accounts}`;
    return problem("accounts_without_provider", `${words}${needed}`);
  });
}
