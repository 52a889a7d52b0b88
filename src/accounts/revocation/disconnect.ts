import { setTimeout as sleep } from "node:timers/promises";
import type { ApplyRevocations } from "#src/bus.ts";
import { Failure, asFailure } from "#src/failure.ts";
import { OutsideTrouble } from "#src/http/fetch-exchange.ts";
import { timely } from "#src/clock.ts";
import { recoverNow } from "../recovery/recover.ts";
import { leaseMs } from "../refresh/renew.ts";
import type { RefreshDeps } from "../refresh/deps.ts";
import { registrationOf } from "../registration.ts";
import { type ReadAccount, accountById } from "../store.ts";
import { type TakenBack, takeBack } from "./at-provider.ts";
import { beginRevoking, finishRevoking, postponeRevoking, takeRevoking } from "./store.ts";

export type DisconnectDeps = RefreshDeps & {
  /** Lets go of what ended, in this process. */
  readonly applyRevocations: ApplyRevocations;
};

export type Disconnected = {
  /** `pending`: ended here, and the provider is asked again until it confirms. */
  readonly atProvider: TakenBack | "pending";
  /** Where a person takes access back by hand, if the provider has a page for it. */
  readonly page: string | undefined;
  /** The provider's or our own word for why it is pending. */
  readonly reason: string | undefined;
};

/**
 * Disconnects an account: first nothing of it can be used here any more, in one commit; then the provider takes
 * access back; then the stored credential is wiped. A crash in between leaves an account in the state
 * `revoking`, which cannot be used and is finished by whichever gateway comes by.
 * Failures: `not_found`.
 */
export async function disconnect(
  app: DisconnectDeps,
  accountId: string,
  {
    why,
    leavesUnconfigured = false,
  }: {
    readonly why: string;
    /** A provider that is not configured here is left to a gateway that has it. */
    readonly leavesUnconfigured?: boolean;
  },
): Promise<Disconnected> {
  const begun = await timely(beginRevoking(app.db, accountId, app.now()));
  if (begun === undefined) throw new Failure("not_found");
  app.applyRevocations(begun.ended);
  app.credentials.forget(accountId);
  app.log.info("account_disconnected", { accountId, why, ended: begun.ended.length });
  await app.atStep("begun");
  return await finish(app, begun.account, leavesUnconfigured);
}

/** Accounts whose provider had not confirmed; one after the other, as many as are due. */
export async function finishDisconnecting(app: RefreshDeps, stopping?: AbortSignal): Promise<void> {
  for (let count = 0; count < mostPerRound; count++) {
    if (stopping?.aborted === true) return;
    const account = await timely(takeRevoking(app.db));
    if (account === undefined) return;
    await finish(app, account);
  }
}

const mostPerRound = 50;
const firstPauseMs = 10_000;
const longestPauseMs = 3_600_000;
/** A provider that has not taken it back in a week will not. */
const patienceMs = 7 * 86_400_000;

async function finish(
  app: RefreshDeps,
  begun: ReadAccount,
  leavesUnconfigured = false,
): Promise<Disconnected> {
  const page = pageOf(app, begun);
  let account = begun;
  try {
    account = await quiet(app, begun);
    const atProvider = await takeBackIfWeCan(app, account, leavesUnconfigured);
    await erase(app, account.id);
    const facts = { accountId: account.id, provider: account.provider, atProvider };
    app.log[atProvider === "by_hand" ? "warn" : "info"]("account_revoked", facts);
    return { atProvider, page, reason: undefined };
  } catch (error) {
    return await giveItTime(app, account, { reason: reasonOf(error), page });
  }
}

const lookAgainMs = 200;

/** The account once nobody is renewing it: a token that has just been replaced is the wrong one to take back. */
async function quiet(app: RefreshDeps, begun: ReadAccount): Promise<ReadAccount> {
  const deadline = performance.now() + leaseMs(app);
  for (;;) {
    const account = await timely(accountById(app.db, begun.id));
    if (account === undefined) throw new Failure("not_found");
    const isBusy = account.leaseUntil !== null && account.leaseUntil > account.readAt;
    if (!isBusy) return account;
    if (performance.now() > deadline) throw new Failure("provider_busy");
    await recoverNow(app);
    await sleep(lookAgainMs);
  }
}

/** Wipes the credential that is stored now, whichever the provider's own renewal has left. */
async function erase(app: RefreshDeps, id: string): Promise<void> {
  const account = await timely(accountById(app.db, id));
  if (account?.state === "revoking") await timely(finishRevoking(app.db, account));
  app.credentials.forget(id);
}

/** A provider that is no longer configured cannot be asked. */
async function takeBackIfWeCan(
  app: RefreshDeps,
  account: ReadAccount,
  leavesUnconfigured: boolean,
): Promise<TakenBack> {
  let registration;
  try {
    registration = registrationOf(app, account.provider);
  } catch (error) {
    if (leavesUnconfigured && account.kind === "oauth") throw error;
    return "by_hand";
  }
  return await takeBack(app, account, registration);
}

async function giveItTime(
  app: RefreshDeps,
  account: ReadAccount,
  { reason, page }: { reason: string; page: string | undefined },
): Promise<Disconnected> {
  const { id, failures, failingSince, readAt } = account;
  const sinceMs = readAt.getTime() - (failingSince ?? readAt).getTime();
  if (sinceMs > patienceMs) {
    await erase(app, id);
    app.log.error("revocation_given_up", { accountId: id, code: reason });
    return { atProvider: "by_hand", page, reason };
  }
  const waitMs = Math.min(firstPauseMs * 2 ** Math.min(failures, 20), longestPauseMs);
  const trouble = { code: reason, waitMs: waitMs * (0.75 + app.random() / 2) };
  await timely(postponeRevoking(app.db, id, trouble));
  app.log.warn("revocation_pending", { accountId: id, code: reason });
  return { atProvider: "pending", page, reason };
}

function reasonOf(error: unknown): string {
  if (error instanceof OutsideTrouble) return error.reason;
  const { code, details } = asFailure(error);
  return code === "provider_not_configured" ? code : (details.hint ?? code);
}

/** Where a person can do it by hand. */
function pageOf(app: Pick<RefreshDeps, "catalog">, { provider }: ReadAccount): string | undefined {
  const revocation = app.catalog.providers.get(provider)?.revocation;
  return revocation?.how === "by_hand" ? revocation.url : undefined;
}
