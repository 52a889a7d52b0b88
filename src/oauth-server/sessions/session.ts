import { accountById, isDisconnected } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { type Secret, fingerprint, newToken } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import type { ApplyRevocations } from "#src/bus.ts";
import { closeSession, saveSession } from "./store.ts";

const thirtyDays = 30 * 86_400_000;

export type Minted = { readonly id: string; readonly bearer: Secret; readonly expiresAt: Date };

/**
 * A bearer for one account of the person, valid for 30 days; shown once, kept as a fingerprint.
 * Failures: `not_found` when the account is not theirs.
 */
export async function mintSession(
  app: Pick<App, "db" | "now" | "log">,
  wanted: { personId: string; accountId: string; platform: string | null },
): Promise<Minted> {
  const account = await accountById(app.db, wanted.accountId);
  if (account?.personId !== wanted.personId || isDisconnected(account)) throw noSuchAccount();
  const now = app.now();
  const bearer = newToken("session");
  const session = { id: newId(now), expiresAt: new Date(now.getTime() + thirtyDays) };
  const isSaved = await saveSession(app.db, {
    ...session,
    ...wanted,
    tokenFingerprint: fingerprint(bearer.reveal()),
  });
  // Disconnected since it was read.
  if (!isSaved) throw noSuchAccount();
  app.log.info("session_minted", { sessionId: session.id, accountId: wanted.accountId });
  return { ...session, bearer };
}

function noSuchAccount(): Failure {
  return new Failure("not_found", "Unknown account");
}

/** Ends a person's own session; nobody is told whether it existed. */
export async function endSession(
  app: Pick<App, "db" | "now" | "log"> & { readonly applyRevocations: ApplyRevocations },
  session: { id: string; personId: string },
): Promise<void> {
  // Of somebody else's, streams and calls go on.
  if (!(await closeSession(app.db, session, app.now()))) return;
  app.applyRevocations([`session:${session.id}`]);
  app.log.info("session_ended", { sessionId: session.id });
}
