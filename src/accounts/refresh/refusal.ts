import { Failure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import type { ReadAccount } from "../store.ts";
import type { RefreshDeps } from "./deps.ts";
import { postponeRefresh, requireReconnect } from "./store.ts";
import { type Held, readHeld } from "../credential.ts";
import type { Registration } from "../registration.ts";
import type { Refusal } from "../token-answer.ts";
import { busy, reconnect } from "./failures.ts";

const firstBackoffMs = 2000;
const longestBackoffMs = 10 * 60_000;
const hourMs = 3_600_000;
/** Failing for so long, an account is tried once an hour, and an operator is told once. */
const exhaustedMs = 24 * hourMs;

type Refused = {
  readonly account: ReadAccount;
  readonly registration: Registration;
  readonly refusal: Refusal;
};

/** What follows from an answer without tokens. Returns a credential when somebody else has a newer one. */
export async function handleRefusal(app: RefreshDeps, refused: Refused): Promise<Held> {
  const { registration, refusal } = refused;
  if (refusal.means === "dead") {
    await app.circuitBreaker.answered(registration);
    return await settleDead(app, refused);
  }
  await postpone(app, refused);
  if (refusal.means === "application_refused") {
    await app.circuitBreaker.refused(registration, refusal.code);
    throw new Failure("provider_refuses_application", undefined, { hint: refusal.code });
  }
  await tellProvidersState(app, refused);
  return await newerOr(app, refused.account, () => busy(firstBackoffMs));
}

/** Of an answer that says nothing final. */
async function tellProvidersState(app: RefreshDeps, { account, registration, refusal }: Refused) {
  const { means, retryAfterSeconds, isAboutRequest } = refusal;
  if (means === "just_refreshed" || isAboutRequest) {
    return await app.circuitBreaker.answered(registration);
  }
  const isFirst = account.failures === 0;
  return await app.circuitBreaker.failed(registration, { retryAfterSeconds, isFirst });
}

async function settleDead(app: RefreshDeps, { account, refusal }: Refused): Promise<Held> {
  const version = { id: account.id, generation: account.generation };
  const isCurrent = await timely(requireReconnect(app.db, version, refusal.code));
  const current = await readHeld(app, account.id);
  if (current !== undefined) app.credentials.put(current.accountId, current);
  // A stale generation died, not the account: whoever replaced it has the credential.
  const isNewer = current !== undefined && current.generation > account.generation;
  if (!isCurrent && isNewer && current.isUsable) return current;
  throw reconnect(app, { ...account, accountId: account.id });
}

async function postpone(app: RefreshDeps, { account, refusal }: Refused): Promise<void> {
  const { id, generation, failingSince, readAt, exhaustedAt } = account;
  const failingMs = failingSince === null ? 0 : readAt.getTime() - failingSince.getTime();
  const isExhausted = failingMs >= exhaustedMs;
  if (isExhausted && exhaustedAt === null) {
    const facts = { accountId: id, provider: account.provider, code: refusal.code };
    app.log.error("refresh_exhausted", { ...facts, hours: Math.round(failingMs / hourMs) });
  }
  const waitMs = isExhausted
    ? hourMs * (0.75 + app.random() / 2)
    : waitAfter(app, account, refusal);
  const trouble = { code: refusal.code, waitMs, holder: app.replica, isExhausted };
  await timely(postponeRefresh(app.db, { id, generation }, trouble));
  app.credentials.forget(id);
}

async function newerOr(
  app: RefreshDeps,
  account: ReadAccount,
  failure: () => Failure,
): Promise<Held> {
  const current = await readHeld(app, account.id);
  if (current !== undefined && current.generation > account.generation) return current;
  const waitMs = (current?.retryAt ?? 0) - app.now().getTime();
  throw waitMs > 0 ? busy(waitMs) : failure();
}

/** What the provider asks for, or exponential with jitter: 2 s, 4 s, 8 s … ten minutes. */
function waitAfter(app: RefreshDeps, account: ReadAccount, refusal: Refusal): number {
  // Nothing is wrong with the account: the provider's state decides for all of them.
  if (refusal.means === "application_refused") return 0;
  if (refusal.retryAfterSeconds !== undefined) {
    // Spread, so that accounts that were told the same do not come back at the same moment.
    return Math.max(refusal.retryAfterSeconds * 1000, firstBackoffMs) * (1 + app.random() / 4);
  }
  const grown = firstBackoffMs * 2 ** Math.min(account.failures, 20);
  return Math.min(grown, longestBackoffMs) * (0.75 + app.random() / 2);
}
