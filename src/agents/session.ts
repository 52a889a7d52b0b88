import { hash } from "node:crypto";
import { databaseMs } from "#src/accounts/credential.ts";
import { accountById } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";
import { type Cache, createCache } from "#src/cache.ts";
import { newId } from "#src/crypto/ids.ts";
import { type Secret, fingerprint, newToken, tokenPrefixes } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { within } from "#src/once.ts";
import { closeSession, saveSession, sessionByFingerprint } from "./store.ts";

/** Who a bearer stands for. */
export type Caller = {
  readonly sessionId: string;
  readonly personId: string;
  readonly accountId: string;
  readonly provider: string;
  readonly expiresAt: number;
};

/** Proven bearers by fingerprint. An ended session is gone here at once, on other replicas within 5 s. */
export type Callers = Cache<Caller>;

const thirtyDays = 30 * 86_400_000;

export function createCallers(app: Pick<App, "now">): Callers {
  const now = () => app.now().getTime();
  return createCache<Caller>({ freshMs: 5000, staleMs: 60_000, size: 10_000, now });
}

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
  if (account?.personId !== wanted.personId || account.state === "revoked") {
    throw new Failure("not_found", "There is no such account");
  }
  const now = app.now();
  const bearer = newToken("session");
  const session = { id: newId(now), expiresAt: new Date(now.getTime() + thirtyDays) };
  await saveSession(app.db, {
    ...session,
    ...wanted,
    tokenFingerprint: fingerprint(bearer.reveal()),
  });
  app.log.info("session_minted", { sessionId: session.id, accountId: wanted.accountId });
  return { ...session, bearer };
}

/** Ends a person's own session; nobody is told whether it existed. */
export async function endSession(
  app: Pick<App, "db" | "now" | "log"> & { readonly callers: Callers },
  session: { id: string; personId: string },
): Promise<void> {
  const isEnded = await closeSession(app.db, session, app.now());
  app.callers.forgetWhere((caller) => caller.sessionId === session.id);
  if (isEnded) app.log.info("session_ended", { sessionId: session.id });
}

/** Who `bearer` stands for; undefined when it is unknown, expired or ended. */
export async function callerOf(
  app: Pick<App, "db" | "now"> & { readonly callers: Callers },
  bearer: string,
): Promise<Caller | undefined> {
  if (!bearer.startsWith(tokenPrefixes.session) || bearer.length > 100) return undefined;
  const key = hash("sha256", bearer, "base64");
  const caller = await app.callers.get(key, () => readCaller(app, Buffer.from(key, "base64")));
  return caller !== undefined && isOpen(app, caller) ? caller : undefined;
}

/** The same without asking anybody; undefined when the database has to be asked. */
export function knownCaller(
  app: Pick<App, "now"> & { readonly callers: Callers },
  bearer: string,
): Caller | undefined {
  if (!bearer.startsWith(tokenPrefixes.session) || bearer.length > 100) return undefined;
  const caller = app.callers.fresh(hash("sha256", bearer, "base64"));
  return caller !== undefined && isOpen(app, caller) ? caller : undefined;
}

function isOpen(app: Pick<App, "now">, caller: Caller): boolean {
  return caller.expiresAt > app.now().getTime();
}

async function readCaller(app: Pick<App, "db" | "now">, token: Uint8Array) {
  const late = () => new Failure("database_unavailable");
  const row = await within(databaseMs, sessionByFingerprint(app.db, token, app.now()), late);
  if (row === undefined) return undefined;
  const { id, expiresAt, ...rest } = row;
  return { ...rest, sessionId: id, expiresAt: expiresAt.getTime() };
}
