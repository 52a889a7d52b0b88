import { readHeld } from "#src/accounts/credential.ts";
import { findAccount } from "#src/accounts/find-account.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import { renew } from "#src/accounts/refresh/renew.ts";
import type { App } from "#src/app.ts";
import { Failure } from "#src/failure.ts";

/**
 * Asks the provider for a new credential of an account, whatever its old one is worth. Says which generation it is and
 * until when it holds. Failures: `usage` when there is no such account, and those of a refresh.
 */
export async function refreshNow(
  app: App & RefreshDeps,
  named: string,
  requestId: string,
): Promise<{ readonly account: string; readonly generation: number; readonly expiresAt: Date }> {
  const { id, provider, sellerId } = await findAccount(app, named);
  const held = await readHeld(app, id);
  if (held === undefined) throw new Failure("not_found");
  const renewed = await renew(app, held, { requestId });
  const expiresAt = new Date(renewed.expiresAt);
  return { account: `${provider}:${sellerId}`, generation: renewed.generation, expiresAt };
}
