import { type Caller, type CallerDeps, callerOf, knownCaller } from "#src/oauth-server/caller.ts";
import { scopeFor, scopes } from "#src/oauth-server/scopes.ts";
import type { App } from "#src/app.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { Failure } from "#src/failure.ts";
import { type Held, heldCredential, readHeld } from "#src/accounts/credential.ts";
import { reconnect } from "#src/accounts/refresh/failures.ts";
import type { RefreshDeps } from "#src/accounts/refresh/deps.ts";
import { renew } from "#src/accounts/refresh/renew.ts";
import { mostOpenAttempts } from "#src/accounts/refresh/store.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";

/**
 * Who is calling, by the value of `Authorization`, and whether their account is one that this upstream can use; at
 * once when the bearer was proven a moment ago.
 * Failures: `bearer_missing`, `bearer_invalid`, `account_mismatch`, `database_unavailable`.
 */
export function bearerOf(
  app: CallerDeps & Places,
  header: string | null,
  upstream: Upstream,
): Caller | Promise<Caller> {
  if (header === null) throw new Failure("bearer_missing");
  const isBearer = header.startsWith("Bearer ") || header.slice(0, 7).toLowerCase() === "bearer ";
  if (!isBearer) throw new Failure("bearer_invalid");
  const bearer = header.slice(7).trim();
  const known = knownCaller(app, bearer);
  if (known !== undefined) return entitled(app, known, upstream);
  return provenBearer(app, bearer, upstream);
}

async function provenBearer(
  app: CallerDeps & Places,
  bearer: string,
  upstream: Upstream,
): Promise<Caller> {
  return entitled(app, await callerOf(app, bearer), upstream);
}

type Places = Pick<App, "catalog" | "publicUrl">;

function entitled(app: Places, caller: Caller | undefined, upstream: Upstream): Caller {
  const { name, credential } = upstream;
  if (caller === undefined || isForOther(caller, upstream)) throw new Failure("bearer_invalid");
  if (credential.kind === "operator" && caller.kind !== "agent") {
    throw new Failure("operator_agents_only");
  }
  if (credential.kind === "account" && credential.provider !== caller.provider) {
    throw new Failure(
      "account_mismatch",
      `This bearer belongs to ${caller.provider === undefined ? "no" : `a ${caller.provider}`} account; ${name} needs one of ${credential.provider}`,
      { hint: placeFor(app, caller) },
    );
  }
  return caller;
}

/** Where the bearer fits. */
function placeFor({ catalog, publicUrl }: Places, { provider, upstream }: Caller): string {
  const all = [...catalog.upstreams.values()];
  const fitting = all.filter(
    ({ name, credential }) =>
      credential.kind === "account" &&
      credential.provider === provider &&
      (upstream === undefined || upstream === name),
  );
  return fitting.length === 0
    ? "Connect an account that fits, and make a session for it"
    : `It fits ${fitting.map(({ name }) => `${publicUrl}/mcp/${name}`).join(", ")}`;
}

function isForOther(caller: Caller, { name, admits = name }: Upstream): boolean {
  return caller.upstream !== undefined && caller.upstream !== admits;
}

/**
 * Whether the caller may send these messages; judged on the body, whatever headers say.
 * Failures: `insufficient_scope`, with every scope that would be needed (RFC 6750 section 3.1).
 */
export function checkScopes(caller: Caller, rpcMethods: readonly string[]): void {
  if (caller.allowed.size === scopes.length) return;
  for (const method of rpcMethods) {
    if (!caller.allowed.has(scopeFor(method))) throw insufficientScope(caller, rpcMethods);
  }
}

function insufficientScope(caller: Caller, rpcMethods: readonly string[]): Failure {
  const scope = [...new Set([...caller.granted, ...rpcMethods.map(scopeFor)])].join(" ");
  return new Failure("insufficient_scope", `This needs the scopes ${scope}`, { scope });
}

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
  const isGood = held !== undefined && held.isUsable && app.now().getTime() < held.refreshFrom;
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
  const held = known.isUsable ? known : await readAgain(app, known);
  if (!held.isUsable) throw reconnect(app, held);
  const now = app.now().getTime();
  if (now >= held.expiresAt) return withHeader(await renewed(app, held, requestId), true);
  const isDue = now >= held.refreshFrom && now >= held.retryAt && held.intents < mostOpenAttempts;
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

/** They go with the credential that they are of. */
const authOf = new WeakMap<Held, UpstreamAuth>();

function withHeader(held: Held, isRenewed: boolean): UpstreamAuth {
  const known = authOf.get(held);
  if (known?.isRenewed === isRenewed) return known;
  const headers = { authorization: `Bearer ${held.access.reveal()}` };
  const made = { held, isRenewed, headers };
  authOf.set(held, made);
  return made;
}
