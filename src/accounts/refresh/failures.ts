import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";

/** The credential is kept, and may be renewed after a while. */
export function busy(waitMs: number): Failure {
  return new Failure("provider_busy", undefined, {
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
  });
}

/** The failure that tells an agent, and through it a person, to connect the account again. */
export function reconnect(
  app: Pick<App, "catalog" | "publicUrl">,
  account: { readonly provider: string; readonly accountId: string },
): Failure {
  const title = app.catalog.providers.get(account.provider)?.title ?? account.provider;
  const link = `${app.publicUrl}/accounts/${account.accountId}/reconnect`;
  return new Failure(
    "reconnect_needed",
    `${title} no longer honours this account. Ask the person to open ${link} and connect it again.`,
    { link },
  );
}
