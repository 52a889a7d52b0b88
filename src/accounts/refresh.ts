import { setTimeout as sleep } from "node:timers/promises";
import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/once.ts";
import { troubleOf } from "#src/telemetry/trouble.ts";
import {
  type Credentials,
  type Held,
  openColumn,
  openHeld,
  placeOf,
  readHeld,
} from "./credential.ts";
import { type Refusal, type Tokens, refreshTokens } from "./provider-client.ts";
import { type Registration, registrationOf } from "./registration.ts";
import {
  type Account,
  type NewCredential,
  leaseRefresh,
  postponeRefresh,
  requireReconnect,
  saveRefreshEvent,
  saveRefreshed,
} from "./store.ts";

export type Refreshing = Pick<
  App,
  | "db"
  | "seal"
  | "outbound"
  | "once"
  | "now"
  | "random"
  | "log"
  | "replica"
  | "catalog"
  | "config"
  | "publicUrl"
> & { readonly credentials: Credentials };

const waitForOthersMs = 100;
const graceMs = 10_000;
const storeAttempts = 12;
const firstBackoffMs = 2000;
const longestBackoffMs = 10 * 60_000;
const applicationBackoffMs = 5 * 60_000;

/**
 * A newer credential than `known`, which somebody found dead or about to end.
 *
 * In one process callers share one refresh; across processes a lease with a fencing generation decides
 * who asks the provider, and everybody else waits for the newer row. No transaction is open meanwhile.
 * Failures: `reconnect_needed`, `provider_busy`, `provider_refuses_application`, `database_unavailable`.
 */
export function renew(app: Refreshing, known: Held, requestId: string): Promise<Held> {
  const key = `refresh ${known.accountId} ${known.generation}`;
  return app.once(key, () => renewOnce(app, known, requestId));
}

async function renewOnce(app: Refreshing, known: Held, requestId: string): Promise<Held> {
  const registration = registrationOf(app, known.provider);
  const deadline = app.now().getTime() + app.config.providerTimeoutMs + graceMs;
  while (app.now().getTime() < deadline) {
    const current = await currentOf(app, known);
    if (current.generation > known.generation) return current;
    refuseUnrefreshable(app, current);
    const version = { id: current.accountId, generation: current.generation };
    const seconds = Math.ceil((app.config.providerTimeoutMs + graceMs) / 1000);
    const leased = await timely(leaseRefresh(app.db, version, { holder: app.replica, seconds }));
    if (leased !== undefined) {
      return await askProvider(app, { account: leased, registration, requestId });
    }
    await sleep(waitForOthersMs * (0.5 + app.random()));
  }
  throw new Failure("provider_busy", undefined, { retryAfterSeconds: 5 });
}

async function currentOf(app: Refreshing, known: Held): Promise<Held> {
  const current = await readHeld(app, known.accountId);
  if (current === undefined) throw reconnect(app, known);
  app.credentials.put(current.accountId, current);
  return current;
}

function refuseUnrefreshable(app: Refreshing, current: Held): void {
  if (current.state !== "active" || current.kind === "static") throw reconnect(app, current);
  const waitMs = current.retryAt - app.now().getTime();
  if (waitMs > 0) throw busy(waitMs);
}

type Asking = {
  readonly account: Account;
  readonly registration: Registration;
  readonly requestId: string;
};

async function askProvider(app: Refreshing, asking: Asking): Promise<Held> {
  const { account, registration, requestId } = asking;
  const report = reporter(app, account, requestId);
  await report("refresh_start");
  const answer = await refreshTokens(app, registration, openColumn(app, account, "refreshToken"));
  if ("refusal" in answer) {
    await report("refresh_fail", answer.refusal);
    return await settleRefusal(app, { account, registration, refusal: answer.refusal });
  }
  const saved = await store(app, account, answer.tokens);
  await report("refresh_success");
  return saved;
}

/** The new refresh token is stored before the new access token is used anywhere. */
async function store(app: Refreshing, account: Account, tokens: Tokens): Promise<Held> {
  const refresh = tokens.refresh ?? openColumn(app, account, "refreshToken");
  const saved = await persist(app, account, {
    accessToken: app.seal.close(tokens.access, placeOf(account.id, "accessToken")),
    refreshToken: app.seal.close(refresh, placeOf(account.id, "refreshToken")),
    ...expiries(app.now(), tokens),
    ...(tokens.scope === undefined ? {} : { scope: tokens.scope }),
  });
  // Nothing saved: the account was connected again while we asked, and that credential is the newer one.
  const held = saved === undefined ? await readHeld(app, account.id) : openHeld(app, saved);
  if (held === undefined) throw reconnect(app, { ...account, accountId: account.id });
  app.credentials.put(held.accountId, held);
  return held;
}

/** A provider's answer exists once: a database that is away for some seconds must not cost it. */
async function persist(
  app: Refreshing,
  account: Account,
  credential: NewCredential,
  attempt = 1,
): Promise<Account | undefined> {
  try {
    return await timely(saveRefreshed(app.db, versionOf(account), credential));
  } catch (error) {
    app.log.warn("refresh_not_stored_yet", { attempt, ...troubleOf(error) });
    if (attempt === storeAttempts) throw error;
  }
  await sleep(attempt * 100);
  return await persist(app, account, credential, attempt + 1);
}

const leastSeconds = 5;
const mostSeconds = 10 * 365 * 86_400;

/** When a credential ends, counted from the moment its answer arrived. */
export function expiries(now: Date, tokens: Pick<Tokens, "accessSeconds" | "refreshSeconds">) {
  // A lifetime of nothing would mean a refresh for every call, one of ages no date.
  const after = (seconds: number) =>
    new Date(now.getTime() + Math.min(Math.max(seconds, leastSeconds), mostSeconds) * 1000);
  return {
    accessExpiresAt: after(tokens.accessSeconds),
    refreshExpiresAt: tokens.refreshSeconds === undefined ? null : after(tokens.refreshSeconds),
  };
}

type Refused = {
  readonly account: Account;
  readonly registration: Registration;
  readonly refusal: Refusal;
};

async function settleRefusal(app: Refreshing, refused: Refused): Promise<Held> {
  const { account, refusal } = refused;
  if (refusal.means === "dead") {
    const isCurrent = await timely(requireReconnect(app.db, versionOf(account), refusal.code));
    const current = await readHeld(app, account.id);
    if (current !== undefined) app.credentials.put(current.accountId, current);
    // A stale generation died, not the account: whoever replaced it has the credential.
    if (!isCurrent && current?.state === "active") return current;
    throw reconnect(app, { ...account, accountId: account.id });
  }
  const waitMs = waitAfter(app, account, refusal);
  const retryAt = new Date(app.now().getTime() + waitMs);
  const failures = account.failures + 1;
  const trouble = { retryAt, code: refusal.code, failures, holder: app.replica };
  await timely(postponeRefresh(app.db, versionOf(account), trouble));
  app.credentials.forget(account.id);
  if (refusal.means === "application_refused") {
    throw new Failure("provider_refuses_application", undefined, { hint: refusal.code });
  }
  const current = await readHeld(app, account.id);
  if (current !== undefined && current.generation > account.generation) return current;
  throw busy(waitMs);
}

/** What the provider asks for, or exponential with jitter: 2 s, 4 s, 8 s … ten minutes. */
function waitAfter(app: Refreshing, account: Account, refusal: Refusal): number {
  if (refusal.retryAfterSeconds !== undefined) {
    return Math.max(refusal.retryAfterSeconds * 1000, firstBackoffMs);
  }
  if (refusal.means === "application_refused") return applicationBackoffMs;
  const grown = firstBackoffMs * 2 ** Math.min(account.failures, 20);
  return Math.min(grown, longestBackoffMs) * (0.75 + app.random() / 2);
}

function reporter(app: Refreshing, account: Account, requestId: string) {
  return async (event: "refresh_start" | "refresh_success" | "refresh_fail", refusal?: Refusal) => {
    const facts = { accountId: account.id, generation: account.generation, requestId };
    const outcome =
      refusal === undefined ? {} : { code: refusal.code, providerStatus: refusal.status };
    const level = event === "refresh_fail" ? "warn" : "info";
    app.log[level](event, { provider: account.provider, ...facts, ...outcome });
    const row = { id: newId(app.now()), event, ...facts, code: refusal?.code ?? null };
    await timely(
      saveRefreshEvent(app.db, { ...row, providerStatus: refusal?.status ?? null }),
    ).catch(
      // The event is history; the credential is what must not be lost.
      (error: unknown) => app.log.warn("refresh_event_lost", troubleOf(error)),
    );
  };
}

function versionOf(account: Account) {
  return { id: account.id, generation: account.generation };
}

function busy(waitMs: number): Failure {
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
