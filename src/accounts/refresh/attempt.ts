import { newId } from "#src/crypto/ids.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { timely } from "#src/clock.ts";
import { errorFields } from "#src/telemetry/error-fields.ts";
import { type Held, openColumn, openHeld, placeOf, readHeld } from "../credential.ts";
import {
  type NewCredential,
  type ReadAccount,
  saveRefreshEvent,
  saveRefreshStart,
} from "../store.ts";
import type { Answer } from "../journal/journal.ts";
import { type Refusal, type Tokens, lifetimes } from "../token-answer.ts";
import { refreshTokens } from "../provider-client.ts";
import type { Registration } from "../registration.ts";
import { busy, reconnect } from "./failures.ts";
import { commitAnswer } from "./commit.ts";
import { handleRefusal } from "./refusal.ts";
import type { RefreshDeps } from "./deps.ts";
import { mostOpenAttempts, returnLease } from "./store.ts";

type Attempt = {
  /** Leased by us, with the attempt in its row. */
  readonly account: ReadAccount;
  readonly registration: Registration;
  readonly requestId: string;
  /** So long after the lease was asked for that somebody else may ask before our answer comes. */
  readonly isOverdue: () => boolean;
};

/**
 * Asks the provider for the successor of a generation, once:
 *
 *   attempt (in the row) → room in the journal → ask → journal, on the disk → row → high-water mark → journal entry goes
 *
 * Whatever is known already (an answer that an earlier process wrote down) is used instead.
 * Failures: `reconnect_needed`, `provider_busy`, `provider_refuses_application`, `journal_unavailable`.
 */
export async function askProvider(app: RefreshDeps, asking: Attempt): Promise<Held> {
  const { account, registration, requestId } = asking;
  const ahead = app.now().getTime() - account.readAt.getTime();
  const report = reporter(app, account, requestId);
  await app.atStep("intent_committed");
  noteUnanswered(app, account);
  const prepared = await prepare(app, account, requestId);
  if (prepared === "replaced") return await currentAfter(app, account, undefined);
  if (!("reveal" in prepared)) {
    return await storeAnswer(app, account, { answer: prepared, ahead });
  }
  await app.atStep("room_made");
  if (asking.isOverdue()) return await stepBack(app, account);
  const answer = await measured(app, registration, prepared);
  await app.atStep("answered");
  if ("refusal" in answer) {
    await report("refresh_fail", answer.refusal);
    // Before the lease is free: afterwards the room may be the next one's.
    await dropQuietly(app, account);
    return await handleRefusal(app, { account, registration, refusal: answer.refusal });
  }
  const at = new Date(app.now().getTime() - ahead);
  const credential = sealed(app, account, { tokens: answer.tokens, at, registration });
  await app.journal.write({ ...versionOf(account), credential }).catch((error: unknown) =>
    // The database is the other place; a process that is killed before it has the answer loses it.
    app.log.error("journal_not_written", { accountId: account.id, ...errorFields(error) }),
  );
  await app.atStep("journaled");
  const kept = { answer: { ...versionOf(account), credential }, ahead };
  const held = await storeAnswer(app, account, kept);
  const noted = Promise.all([app.circuitBreaker.answered(registration), report("refresh_success")]);
  // While the database is away, the call does not wait for history.
  if (!app.journal.unstored.has(account.id)) await noted;
  return held;
}

async function measured(app: RefreshDeps, registration: Registration, refreshToken: Secret) {
  const provider = registration.provider.name;
  const startedAt = performance.now();
  const span = app.tracing?.begin("oauth.refresh", "client");
  const answer = await refreshTokens(app, registration, refreshToken);
  const outcome = "refusal" in answer ? answer.refusal.code : "success";
  app.metrics.refresh(provider, outcome, (performance.now() - startedAt) / 1000);
  span?.end({ "smartdash.provider": provider, "smartdash.outcome": outcome }, "refusal" in answer);
  return answer;
}

/**
 * The refresh token to send, or the answer that is there already; `replaced` when another process has just
 * stored one. The lease goes back if none of it can be.
 */
async function prepare(
  app: RefreshDeps,
  account: ReadAccount,
  requestId: string,
): Promise<Secret | Answer | "replaced"> {
  const version = versionOf(account);
  let hasRoom = false;
  try {
    const known = await app.journal.read(version);
    if (known !== undefined && known !== "reserved") return known;
    const refreshToken = openColumn(app, account, "refreshToken");
    await app.journal.reserve(version);
    hasRoom = true;
    const event = { id: newId(app.now()), requestId };
    if (await timely(saveRefreshStart(app.db, version, event))) {
      const facts = { accountId: account.id, generation: account.generation, requestId };
      app.log.info("refresh_start", { provider: account.provider, ...facts });
      return refreshToken;
    }
    await dropQuietly(app, account);
    return "replaced";
  } catch (error) {
    // An answer that cannot be read now must stay where it is.
    if (hasRoom) await dropQuietly(app, account);
    await timely(returnLease(app.db, version, app.replica)).catch(() => undefined);
    throw error;
  }
}

/** Asked before, by a gateway whose journal we cannot read. */
function noteUnanswered(app: RefreshDeps, { id, generation, intents, lastError }: ReadAccount) {
  if (intents < mostOpenAttempts || lastError === "unanswered") return;
  app.log.error("refresh_unanswered", { accountId: id, generation });
}

/** This process stood still for too long; nothing was asked. */
async function stepBack(app: RefreshDeps, account: ReadAccount): Promise<never> {
  await dropQuietly(app, account);
  await timely(returnLease(app.db, versionOf(account), app.replica));
  throw busy(1000);
}

/** The row as it will be; a provider that sends no new refresh token keeps the old one valid. */
function sealed(
  app: RefreshDeps,
  account: ReadAccount,
  { tokens, at, registration }: { tokens: Tokens; at: Date; registration: Registration },
): NewCredential {
  const refresh = tokens.refresh ?? openColumn(app, account, "refreshToken");
  const { accessSeconds = registration.provider.refresh.defaultAccessSeconds } = tokens;
  return {
    accessToken: app.seal.close(tokens.access, placeOf(account.id, "accessToken")),
    refreshToken: app.seal.close(refresh, placeOf(account.id, "refreshToken")),
    ...lifetimes({ at, jitter: app.random() }, { ...tokens, accessSeconds }),
    ...(tokens.scope === undefined ? {} : { scope: tokens.scope }),
  };
}

/**
 * The credential of an answer, for use at once. It is in the journal; the row has it too, unless the database
 * is away: then it is on top of whatever is read (`unstored`) until it has.
 */
async function storeAnswer(
  app: RefreshDeps,
  account: ReadAccount,
  { answer, ahead }: { answer: Answer; ahead: number },
): Promise<Held> {
  const stored = await commitAnswer(app, answer);
  const held =
    stored === "later"
      ? openHeld(app, { ...account, readAt: new Date(app.now().getTime() - ahead) })
      : await currentAfter(app, account, stored === "old" ? undefined : stored);
  app.credentials.put(held.accountId, held);
  return held;
}

/** Nothing stored: the account was connected again while we asked, and that credential is the newer one. */
async function currentAfter(
  app: RefreshDeps,
  account: ReadAccount,
  stored: ReadAccount | undefined,
): Promise<Held> {
  const held = stored === undefined ? await readHeld(app, account.id) : openHeld(app, stored);
  if (held === undefined) throw reconnect(app, { ...account, accountId: account.id });
  return held;
}

function dropQuietly(app: RefreshDeps, account: ReadAccount) {
  return app.journal.drop(versionOf(account)).catch((error: unknown) => {
    app.log.warn("journal_not_cleared", { accountId: account.id, ...errorFields(error) });
  });
}

function reporter(app: RefreshDeps, account: ReadAccount, requestId: string) {
  return async (event: "refresh_success" | "refresh_fail", refusal?: Refusal) => {
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
      (error: unknown) => app.log.lasting("refresh_event_lost", errorFields(error)),
    );
  };
}

function versionOf(account: Pick<ReadAccount, "id" | "generation">) {
  return { id: account.id, generation: account.generation };
}
