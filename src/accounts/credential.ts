import type { App } from "#src/app.ts";
import { type Cache, createCache, databasePatienceMs, withoutDatabaseMs } from "#src/cache.ts";
import { SealBroken } from "#src/crypto/seal.ts";
import type { Secret } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { timely, millisecondsOf } from "#src/clock.ts";
import type { Journal } from "./journal/journal.ts";
import { type Account, type ReadAccount, accountById } from "./store.ts";

/** An account's access token, opened, with what a call has to know about it. */
export type Held = {
  readonly accountId: string;
  readonly provider: string;
  readonly state: Account["state"];
  /** See `isUsable`. */
  readonly isUsable: boolean;
  /** False for a key that somebody pasted, and where the provider handed out no refresh token. */
  readonly isRenewable: boolean;
  readonly generation: number;
  /** See `mostOpenAttempts`. */
  readonly intents: number;
  readonly access: Secret;
  readonly expiresAt: number;
  /** From here on it is refreshed in the background while calls still use it. */
  readonly refreshFrom: number;
  readonly retryAt: number;
};

export type Credentials = Cache<Held>;

/** What this process holds open. Other replicas' changes are seen after five seconds, or on a 401. */
export function createCredentials(app: Pick<App, "now">): Credentials {
  const now = millisecondsOf(app);
  return createCache<Held>({
    freshMs: 5000,
    staleMs: withoutDatabaseMs,
    patienceMs: databasePatienceMs,
    size: 10_000,
    now,
  });
}

type CredentialDeps = Pick<App, "db" | "seal" | "now"> & { readonly journal: Journal };

/** Failures: `reconnect_needed` when the account is gone, `database_unavailable`, `credential_unreadable`. */
export async function heldCredential(
  app: CredentialDeps,
  credentials: Credentials,
  accountId: string,
): Promise<Held> {
  const held = await credentials.get(accountId, () => readHeld(app, accountId));
  if (held === undefined)
    throw new Failure("reconnect_needed", "This account is no longer connected");
  return held;
}

/** As it stands in the database now, with an answer on top that the database has not taken yet. */
export async function readHeld(app: CredentialDeps, accountId: string): Promise<Held | undefined> {
  const account = await timely(accountById(app.db, accountId));
  return account === undefined ? undefined : openHeld(app, account);
}

export function openHeld(app: CredentialDeps, account: ReadAccount): Held {
  app.journal.marks.saw(account);
  const { accessExpiresAt, refreshFrom, ...newest } = withUnstored(app, account);
  // Dates in the row are by the database's clock; what is compared with them here is ours.
  const ahead = app.now().getTime() - account.readAt.getTime();
  const isRenewable = account.kind === "oauth" && !isEmpty(newest.refreshToken);
  const earlyAt = (refreshFrom ?? accessExpiresAt)?.getTime();
  const expiresAt = (accessExpiresAt?.getTime() ?? Number.POSITIVE_INFINITY) + ahead;
  return {
    accountId: account.id,
    provider: account.provider,
    state: account.state,
    isUsable: isUsable(account),
    generation: newest.generation,
    intents: newest.intents,
    access: openColumn(app, newest, "accessToken"),
    expiresAt,
    isRenewable,
    refreshFrom: isRenewable && earlyAt !== undefined ? earlyAt + ahead : Infinity,
    retryAt: (newest.retryAt?.getTime() ?? 0) + ahead,
  };
}

/** Nothing, or erased when it was disconnected. */
function isEmpty(sealed: Uint8Array | null): sealed is null {
  return sealed === null || sealed.length === 0;
}

function withUnstored(app: CredentialDeps, account: ReadAccount): ReadAccount {
  const answer = app.journal.unstored.get(account.id);
  if (answer === undefined || answer.generation < account.generation) return account;
  const { credential, generation } = answer;
  return { ...account, ...credential, generation: generation + 1, intents: 0, retryAt: null };
}

/** As the columns are called, and what is in them (RFC 6749). */
export const columns = { accessToken: "access_token", refreshToken: "refresh_token" } as const;

/** Failures: `credential_unreadable`. */
export function openColumn(
  app: Pick<App, "seal">,
  account: Pick<Account, "id" | "accessToken" | "refreshToken">,
  field: keyof typeof columns,
): Secret {
  const sealed = account[field];
  if (isEmpty(sealed)) throw new Failure("reconnect_needed");
  try {
    return app.seal.open(sealed, placeOf(account.id, field));
  } catch (error) {
    if (error instanceof SealBroken) throw new Failure("credential_unreadable", error.message);
    throw error;
  }
}

export function placeOf(accountId: string, field: keyof typeof columns) {
  return { table: "accounts", row: accountId, column: columns[field] };
}

/** Whether an account's access token may be used; its refresh token may be in doubt. */
export function isUsable({ state }: Pick<Account, "state">): boolean {
  return state === "active" || state === "ambiguous";
}
