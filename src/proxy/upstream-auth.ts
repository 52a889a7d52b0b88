import type { Caller } from "#src/oauth-server/caller.ts";
import { type Held, heldCredential, isUsable, readHeld } from "#src/accounts/credential.ts";
import { reconnect } from "#src/accounts/refresh/failures.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import { renew } from "#src/accounts/refresh/renew.ts";
import { mostIntents } from "#src/accounts/refresh/store.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { Failure } from "#src/failure.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";

/** What stands in for the agent's bearer: an account's credential, one key for all, or nothing. */
export type UpstreamAuth = {
  readonly held: Held | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** It was renewed for this very call: a 401 now is not its age. */
  readonly isRenewed: boolean;
};

const nothing: UpstreamAuth = { held: undefined, headers: {}, isRenewed: false };

/** What stands in without asking anybody; undefined when something has to be read or renewed first. */
export function upstreamAuthNow(
  app: RefreshDeps,
  caller: Caller,
  upstream: Upstream,
): UpstreamAuth | undefined {
  const { credential } = upstream;
  if (credential.kind === "none" || credential.kind === "operator") return nothing;
  if (credential.kind === "key") {
    const value = `${credential.scheme} ${credential.key.reveal()}`.trim();
    return { ...nothing, headers: { [credential.header]: value } };
  }
  const held = app.credentials.fresh(caller.accountId ?? "");
  const isGood = held !== undefined && isUsable(held) && app.now().getTime() < held.refreshFrom;
  return isGood ? withHeader(held, false) : undefined;
}

/** Failures: `reconnect_needed`, `provider_busy`, `provider_refuses_application`, `database_unavailable`. */
export async function upstreamAuthFor(
  app: RefreshDeps,
  caller: Caller,
  context: { upstream: Upstream; requestId: string },
): Promise<UpstreamAuth> {
  const { requestId } = context;
  if (caller.accountId === undefined) throw new Failure("account_mismatch");
  const known = await heldCredential(app, app.credentials, caller.accountId);
  const held = isUsable(known) ? known : await readAgain(app, known);
  if (!isUsable(held)) throw reconnect(app, held);
  const now = app.now().getTime();
  if (now >= held.expiresAt) return withHeader(await renewed(app, held, requestId), true);
  const isDue = now >= held.refreshFrom && now >= held.retryAt && held.intents < mostIntents;
  if (isDue) renewEarly(app, held, requestId);
  return withHeader(held, false);
}

const leastPauseMs = 5000;

/** Beside the call, which does not wait; what fails is not tried again with each call. */
function renewEarly(app: RefreshDeps, held: Held, requestId: string): void {
  renew(app, held, { requestId, isEarly: true }).catch((error: unknown) => {
    app.log.warn("early_refresh_failed", { accountId: held.accountId, ...errorFields(error) });
    const known = app.credentials.last(held.accountId) ?? held;
    const retryAt = Math.max(known.retryAt, app.now().getTime() + leastPauseMs);
    if (known.generation === held.generation) {
      app.credentials.put(held.accountId, { ...known, retryAt });
    }
  });
}

/** The person may have connected again a moment ago, on another replica. */
async function readAgain(app: RefreshDeps, known: Held): Promise<Held> {
  const current = await readHeld(app, known.accountId);
  if (current === undefined) throw reconnect(app, known);
  app.credentials.put(current.accountId, current);
  return current;
}

function renewed(app: RefreshDeps, held: Held, requestId: string): Promise<Held> {
  return renew(app, held, { requestId });
}

/** The credential after the upstream refused the one before. */
export async function renewedUpstreamAuth(
  app: RefreshDeps,
  held: Held,
  requestId: string,
): Promise<UpstreamAuth> {
  return withHeader(await renewed(app, held, requestId), true);
}

function withHeader(held: Held, isRenewed: boolean): UpstreamAuth {
  return { held, isRenewed, headers: { authorization: `Bearer ${held.access.reveal()}` } };
}
