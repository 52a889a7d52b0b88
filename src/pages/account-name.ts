import type { Account } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";

/** An account as its person knows it: `Mercado Libre TIENDA_DEMO (MLA)`. */
export function accountName(app: Pick<App, "catalog">, account: Account): string {
  const title = app.catalog.providers.get(account.provider)?.title ?? account.provider;
  const site = account.site === null ? "" : ` (${account.site})`;
  return `${title} ${account.label ?? account.sellerId}${site}`;
}
